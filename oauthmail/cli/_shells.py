"""Completion scripts for shells, made of the parser's tree."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from ._tree import Argument, Command, walk

__all__ = ["SCRIPTS", "bash", "fish", "zsh"]

_ADDRESSES = "oauthmail accounts --addresses 2>/dev/null"


def _ids() -> list[str]:
    """Return the ids of the providers that have OAuth for mail."""
    from ..providers import providers

    return [found.id for found in providers() if found.oauth]


def _options(command: Command) -> list[Argument]:
    return [argument for argument in command.arguments if argument.flags]


def _placed(command: Command) -> list[Argument]:
    return [argument for argument in command.arguments if not argument.flags]


# --- bash ---------------------------------------------------------------------------------------------------------

_BASH = """\
# bash completion for oauthmail; printed by: oauthmail completion bash

_oauthmail() {{
    local IFS=$' \\t\\n' line=${{COMP_LINE:0:COMP_POINT}} at= cur prev word words
    # The line is read here, as bash takes addresses apart at the @.
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=('')
    cur=${{words[${{#words[@]}} - 1]}}
    prev=${{words[${{#words[@]}} - 2]}}
    for word in "${{words[@]:1:${{#words[@]}}-2}}"; do
        case "$at $word" in
            {paths}) at="$at $word" ;;
        esac
    done
    COMPREPLY=()
    case "$at $prev" in
{values}
        *)
            case "$at" in
{places}
            esac
            ;;
    esac
    # For bash the word begins at the @, unless it was told otherwise.
    local strip= i
    [[ $COMP_WORDBREAKS == *@* && $cur == *@* ]] && strip=${{cur%@*}}
    for i in "${{!COMPREPLY[@]}}"; do
        COMPREPLY[i]=${{COMPREPLY[i]#"$strip"}}
    done
}}

_oauthmail_words() {{
    COMPREPLY+=($(compgen -W "$1" -- "$cur"))
}}

_oauthmail_files() {{
    compopt -o filenames 2>/dev/null
    local IFS=$'\\n'
    COMPREPLY+=($(compgen "$1" -- "$cur"))
}}

complete -F _oauthmail oauthmail
"""


def bash(program: Command) -> str:
    """Return the script for bash, which need be no newer than macOS's 3.2."""
    commands = list(walk(program))
    paths = " | ".join(shlex.quote(_at(command)) for command in commands if command.words)
    values, places = [], []
    for command in commands:
        for option in _options(command):
            if option.value:
                patterns = " | ".join(shlex.quote(f"{_at(command)} {flag}") for flag in option.flags)
                values.append(f"        {patterns}) {_bash_value(option)} ;;")
        places.append(f"                {shlex.quote(_at(command))})")
        words = [flag for option in _options(command) for flag in option.flags]
        places.append(f"                    [[ $cur == -* ]] && _oauthmail_words {shlex.quote(' '.join(words))}")
        if command.commands:
            names = " ".join(below.words[-1] for below in command.commands)
            places.append(f"                    [[ $cur == -* ]] || _oauthmail_words {shlex.quote(names)}")
        for placed in _placed(command):
            places.append(f"                    [[ $cur == -* ]] || {_bash_value(placed)}")
        places.append("                    ;;")
    return _BASH.format(paths=paths, values="\n".join(values), places="\n".join(places))


def _at(command: Command) -> str:
    return "".join(f" {word}" for word in command.words)


def _bash_value(argument: Argument) -> str:
    if argument.choices:
        return f"_oauthmail_words {shlex.quote(' '.join(argument.choices))}"
    return {
        "file": "_oauthmail_files -f",
        "folder": "_oauthmail_files -d",
        "address": f'_oauthmail_words "$({_ADDRESSES})"',
        "provider": f"{{ _oauthmail_words {shlex.quote(' '.join(_ids()))}; _oauthmail_files -f; }}",
    }.get(argument.kind, ":")


# --- zsh ----------------------------------------------------------------------------------------------------------

_ZSH = """\
#compdef oauthmail
# zsh completion for oauthmail; printed by: oauthmail completion zsh

_oauthmail_addresses() {{
    local -a found
    found=(${{(f)"$({addresses})"}})
    compadd -a found
}}

_oauthmail_providers() {{
    compadd {providers}
    _files -g '*.toml'
}}

{functions}
if [ "$funcstack[1]" = "_oauthmail" ]; then
    _oauthmail "$@"
else
    compdef _oauthmail oauthmail
fi
"""


def zsh(program: Command) -> str:
    """Return the script for zsh."""
    functions = "\n".join(_zsh_function(command) for command in walk(program))
    return _ZSH.format(addresses=_ADDRESSES, providers=" ".join(_ids()), functions=functions)


def _zsh_name(command: Command) -> str:
    return "_".join(("_oauthmail", *command.words))


def _zsh_function(command: Command) -> str:
    specs = [shlex.quote(spec) for argument in command.arguments for spec in _zsh_specs(argument)]
    if not command.commands:
        lines = " \\\n".join(f"        {spec}" for spec in specs)
        return f"{_zsh_name(command)}() {{\n    _arguments \\\n{lines}\n}}\n"
    specs += ["'1: :->command'", "'*:: :->argument'"]
    lines = " \\\n".join(f"        {spec}" for spec in specs)
    named = "\n".join(f"                {shlex.quote(f'{below.words[-1]}:{below.help}')}" for below in command.commands)
    cases = "\n".join(f"                {below.words[-1]}) {_zsh_name(below)} ;;" for below in command.commands)
    return f"""\
{_zsh_name(command)}() {{
    local context state state_descr line
    typeset -A opt_args
    _arguments -C \\
{lines} && return
    case $state in
        command)
            local -a commands
            commands=(
{named}
            )
            _describe command commands
            ;;
        argument)
            case $line[1] in
{cases}
            esac
            ;;
    esac
}}
"""


def _zsh_specs(argument: Argument) -> Iterator[str]:
    told = _zsh_text(argument.help)
    value = f":{_zsh_text(argument.value or 'value')}:{_zsh_value(argument)}"
    if not argument.flags:
        yield f"{'*' if argument.repeatable else ''}{value}"
        return
    for flag in argument.flags:
        others = " ".join(other for other in argument.flags if other != flag)
        before = "*" if argument.repeatable else f"({others})" if others else ""
        yield f"{before}{flag}[{told}]{value if argument.value else ''}"


def _zsh_value(argument: Argument) -> str:
    if argument.choices:
        return f"({' '.join(argument.choices)})"
    return {
        "file": "_files",
        "folder": "_files -/",
        "address": "_oauthmail_addresses",
        "provider": "_oauthmail_providers",
    }.get(argument.kind, " ")


def _zsh_text(text: str) -> str:
    return "".join(f"\\{character}" if character in "\\[]:" else character for character in text)


# --- fish ---------------------------------------------------------------------------------------------------------

_FISH = """\
# fish completion for oauthmail; printed by: oauthmail completion fish

function __oauthmail_at
    set -l at
    for word in (commandline -opc)[2..-1]
        switch "$at $word"
            case {paths}
                set at "$at $word"
        end
    end
    test "$at" = "$argv[1]"
end

complete -c oauthmail -f
{lines}
"""


def fish(program: Command) -> str:
    """Return the script for fish."""
    commands = list(walk(program))
    paths = " ".join(_fish_text(_at(command)) for command in commands if command.words)
    return _FISH.format(paths=paths, lines="\n".join(line for command in commands for line in _fish_lines(command)))


def _fish_lines(command: Command) -> Iterator[str]:
    condition = f"__oauthmail_at '{_at(command)}'"
    start = f"complete -c oauthmail -n {_fish_text(condition)}"
    for below in command.commands:
        yield f"{start} -a {below.words[-1]} -d {_fish_text(below.help)}"
    for argument in command.arguments:
        flags = [f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in argument.flags]
        parts = [*flags, *_fish_value(argument)]
        if argument.flags:
            parts.append(f"-d {_fish_text(argument.help)}")
        if parts:
            yield f"{start} {' '.join(parts)}"


def _fish_value(argument: Argument) -> list[str]:
    if not argument.value:
        return []
    # -x: a value is needed, and no file is one; -F: files are, too.
    alone = ["-x"] if argument.flags else []
    files = ["-r", "-F"] if argument.flags else ["-F"]
    if argument.choices:
        return [*alone, f"-a {_fish_text(' '.join(argument.choices))}"]
    return {
        "file": files,
        "folder": [*alone, "-a '(__fish_complete_directories)'"],
        "address": [*alone, f"-a '({_ADDRESSES})'"],
        "provider": [*files, f"-a {_fish_text(' '.join(_ids()))}"],
    }.get(argument.kind, alone)


def _fish_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


#: By the name of the shell.
SCRIPTS = {"bash": bash, "zsh": zsh, "fish": fish}
