# Completes `cargo xtask`. Whatever else cargo is asked for is completed as before.
_cargo_xtask() {
    if (( CURRENT < 3 )) || [[ $words[2] != xtask ]]; then
        (( $+functions[_cargo] )) && _cargo "$@"
        return
    fi
    local -a found described
    local line
    found=("${(@f)$(cargo --quiet xtask complete -- "${(@)words[3,CURRENT]}" 2>/dev/null)}")
    for line in $found; do
        described+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    done
    if (( $#described )); then
        _describe 'cargo xtask' described
    else
        _files
    fi
}
compdef _cargo_xtask cargo
