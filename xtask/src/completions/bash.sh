# Completes `cargo xtask`. Whatever else cargo is asked for is completed as before.
_cargo_xtask() {
    if [[ $COMP_CWORD -lt 2 || ${COMP_WORDS[1]} != xtask ]]; then
        if ! declare -F _cargo >/dev/null && declare -F __load_completion >/dev/null; then
            __load_completion cargo
            complete -o bashdefault -o default -F _cargo_xtask cargo
        fi
        declare -F _cargo >/dev/null && _cargo "$@"
        return
    fi
    local IFS=$'\n'
    COMPREPLY=($(cargo --quiet xtask complete -- "${COMP_WORDS[@]:2:COMP_CWORD-1}" 2>/dev/null | cut -f 1))
}
complete -o bashdefault -o default -F _cargo_xtask cargo
