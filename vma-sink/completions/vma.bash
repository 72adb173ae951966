# SPDX-License-Identifier: GPL-2.0-or-later
# Completion for bash of vma-dump, vma-sink and vma-restore.  The options are
# those of --help, so that there is no second list of them.
# shellcheck shell=bash

# The long options that a program, or its command, prints.
_vma_options() { # PROGRAM [COMMAND]
    "$@" --help 2> /dev/null | sed -nE 's/^  (-., )?(--[a-z-]+=?).*/\2/p'
}

_vma_files() { # SUFFIX-PATTERN
    compopt -o filenames
    local IFS=$'\n'
    if [[ -n ${1-} ]]; then
        mapfile -t COMPREPLY < <(compgen -d -- "$cur"
            compgen -f -X "!$1" -- "$cur" | sort -u)
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    fi
}

_vma_words() { # WORDS
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}

# The value of an option; false if the word before is none that takes one.
_vma_value() {
    case $option in
    --progress) _vma_words 'auto bar json none' ;;
    --format) _vma_words 'vma raw' ;;
    --output)
        if [[ $command = map ]]; then
            _vma_words 'human json picture'
        else
            _vma_files
        fi
        ;;
    --as) _vma_words 'qemu libvirt' ;;
    --compress) _vma_words 'none zstd zstd:1 zstd:3 zstd:9 zstd:19' ;;
    -d | --disk | --device | --bridge) COMPREPLY=() ;;
    --libvirt) _vma_words "$(virsh -q list --name 2> /dev/null)" ;;
    --connect) _vma_words 'qemu:///system qemu:///session' ;;
    --qmp | --fsfreeze | -U | --unix | -c | --config | -o)
        _vma_files ;;
    --method) _vma_words 'auto pipe nbd' ;;
    --spool | --fleecing | --receive | --disks)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        ;;
    *) return 1 ;;
    esac
}

_vma() {
    local program=$1 cur=${COMP_WORDS[COMP_CWORD]} option='' command='' i
    option=${COMP_WORDS[COMP_CWORD - 1]}
    # bash takes "=" for a word of its own.
    if [[ $cur = '=' ]]; then
        cur=''
    elif [[ $option = '=' ]] && ((COMP_CWORD >= 2)); then
        option=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    COMPREPLY=()
    if [[ ${program##*/} = vma-restore ]]; then
        for ((i = 1; i < COMP_CWORD; i++)); do
            if [[ ${COMP_WORDS[i]} != -* ]]; then
                command=${COMP_WORDS[i]}
                break
            fi
        done
        if [[ -z $command && $cur != -* ]]; then
            _vma_words 'list config verify extract map reindex serve read-only'
            return
        fi
    elif [[ $option = -U ]]; then
        option=''       # vma-dump's has no value
    fi
    if [[ $cur = -* ]]; then
        _vma_words "$(_vma_options "$program" ${command:+"$command"})"
        [[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace
    elif ! _vma_value; then
        if [[ -n $command ]]; then
            _vma_files '*.vma?(.zst)'
        else
            _vma_files
        fi
    fi
}
complete -F _vma vma-dump vma-sink vma-restore
