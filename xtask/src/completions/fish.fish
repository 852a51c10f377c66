# Completes `cargo xtask`. Whatever else cargo is asked for is completed as before.
complete --command cargo --no-files \
    --condition 'string match --quiet xtask (commandline --tokenize --current-process --cut-at-cursor)[2]' \
    --arguments '(cargo --quiet xtask complete -- (commandline --tokenize --current-process --cut-at-cursor)[3..-1] (commandline --current-token) 2>/dev/null)'
