// The scripts by which bash, zsh and fish ask a program what comes next: base/program_completion.h.
// PROGRAM stands for its name, FUNCTION for the same without dashes.
#include <algorithm>

#include "base/error.h"
#include "base/program_completion.h"

namespace base {
namespace {

// Readline splits words also at the '=', ':' and '@' of COMP_WORDBREAKS, and replaces only what comes
// after the last of them. So the words are joined again, and what is kept is cut off the candidates.
constexpr char kBash[] = R"script(# bash completion of PROGRAM, printed by 'PROGRAM completion bash'
_FUNCTION_complete() {
  local rest=${COMP_LINE:0:COMP_POINT} current word gap i
  local -a words=()
  for ((i = 0; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    gap=${rest%%[![:space:]]*}
    rest=${rest#"$gap"}
    rest=${rest#"$word"}
    if ((i > 0)) && [[ -z $gap ]]; then words[-1]+=$word; else words+=("$word"); fi
  done
  gap=${rest%%[![:space:]]*}
  current=${rest#"$gap"}
  if ((COMP_CWORD > 0)) && [[ -z $gap ]]; then
    current=${words[-1]}$current
    unset 'words[-1]'
  fi
  ((${#words[@]} > 0)) || return 0

  # Quotes and backslashes are the shell's, not the program's.
  local quote= plain=${current//[\\\"\']/}
  case $current in [\"\']*) quote=${current:0:1} ;; esac
  words=("${words[@]//[\\\"\']/}")
  local -a answer=()
  mapfile -t answer < <("${words[0]/#\~/$HOME}" __complete "${words[@]:1}" "$plain" 2> /dev/null)
  ((${#answer[@]} > 0)) || return 0

  local kind=${answer[0]%% *} prefix=${answer[0]#* } kept= breaks=${COMP_WORDBREAKS//[^=:@]/}
  if [[ -n $breaks && -z $quote ]]; then kept=${plain%"${plain##*[$breaks]}"}; fi
  COMPREPLY=()
  if [[ $kind = words ]]; then
    for word in "${answer[@]:1}"; do
      word=${word%%$'\t'*}
      word=${word#"$kept"}
      [[ -n $quote ]] || printf -v word %q "$word"
      COMPREPLY+=("$word")
    done
    if ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} = *[=:,@] ]]; then
      compopt -o nospace 2> /dev/null
    fi
  else
    local option=-f
    [[ $kind = files ]] || option=-d
    compopt -o filenames 2> /dev/null
    mapfile -t COMPREPLY < <(compgen "$option" -- "${plain#"$prefix"}")
    COMPREPLY=("${COMPREPLY[@]#"${kept#"$prefix"}"}")
  fi
  return 0
}
complete -F _FUNCTION_complete PROGRAM
)script";

// It works as a file named _PROGRAM in a folder of $fpath, and when it is sourced.
constexpr char kZsh[] = R"script(#compdef PROGRAM
# zsh completion of PROGRAM, printed by 'PROGRAM completion zsh'
_PROGRAM() {
  local -a answer plain glued
  local line text prefix
  answer=("${(@f)$(${~words[1]} __complete "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2> /dev/null)}")
  prefix=${answer[1]#* }
  case ${answer[1]%% *} in
    files | directories)
      [[ -z $prefix ]] || compset -P "${(b)prefix}"
      if [[ $answer[1] = files* ]]; then _files; else _files -/; fi
      ;;
    words)
      for line in "${(@)answer[2,-1]}"; do
        text=${${line%%$'\t'*}//:/\\:}
        [[ -z ${line#*$'\t'} ]] || text+=:${line#*$'\t'}
        if [[ ${line%%$'\t'*} = *[=:,@] ]]; then glued+=("$text"); else plain+=("$text"); fi
      done
      [[ ${#plain} -eq 0 ]] || _describe -V PROGRAM plain
      [[ ${#glued} -eq 0 ]] || _describe -V PROGRAM glued -S ''
      ;;
  esac
}
if [[ ${funcstack[1]-} = _PROGRAM ]]; then
  _PROGRAM "$@"
elif (($+functions[compdef])); then
  compdef _PROGRAM PROGRAM
fi
)script";

constexpr char kFish[] = R"script(# fish completion of PROGRAM, printed by 'PROGRAM completion fish'
function __FUNCTION_complete
    set -l words (commandline -opc | string unescape)
    set -l current (commandline -ct | string unescape)
    set -l program (string replace -r -- '^~' $HOME $words[1])
    set -l answer ($program __complete $words[2..] "$current" 2>/dev/null)
    set -q answer[1]; or return
    set -l kind (string split -m 1 ' ' -- $answer[1])
    set -l rest (string sub -s (math 1 + (string length -- "$kind[2]")) -- "$current")
    switch $kind[1]
        case files
            set -l paths "$kind[2]"(__fish_complete_path "$rest")
            set -q paths[1]; and printf '%s\n' $paths
        case directories
            set -l paths "$kind[2]"(__fish_complete_directories "$rest" '')
            set -q paths[1]; and printf '%s\n' $paths
        case words
            set -q answer[2]; and printf '%s\n' $answer[2..]
    end
end
complete -c PROGRAM -f -k -a '(__FUNCTION_complete)'
)script";

std::string replace_all(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

}  // namespace

std::string completion_script(const std::string& program_name, const std::string& shell) {
  std::string script;
  if (shell == "bash") script = kBash;
  else if (shell == "zsh") script = kZsh;
  else if (shell == "fish") script = kFish;
  else throw Error(ErrorCode::invalid_argument, "SHELL is bash, zsh or fish, not '" + shell + "'");
  std::string function = program_name;
  std::replace(function.begin(), function.end(), '-', '_');
  return replace_all(replace_all(std::move(script), "FUNCTION", function), "PROGRAM", program_name);
}

}  // namespace base
