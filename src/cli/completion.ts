/** Completion scripts for bash, zsh and fish, from the commands themselves. */
import { type Command, type Flag, flagsOf, longName, takesValue } from "./table.ts";
import { topics } from "./topics.ts";

export const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

export function completionScript(shell: Shell, commands: readonly Command[]): string {
  return { bash, zsh, fish }[shell](commands);
}

const entries = (command: Command): [string, Flag][] => Object.entries(flagsOf(command));
const names = ([key, flag]: [string, Flag]) => [...(flag.short ? [`-${flag.short}`] : []), longName(key, flag)];

/** Words that may stand as the first argument. */
function firstWords(command: Command, commands: readonly Command[]): string[] {
  if (command.name === "help") return [...commands, ...topics].map((c) => c.name);
  if (command.name === "completion") return [...shells];
  return Object.keys(command.actions ?? {});
}

/** Does the command take a path, a folder or the name of a stored model as an argument? */
function argumentKind(command: Command): string | undefined {
  return command.args.find((a) => a.complete)?.complete;
}

/** What may follow a flag that takes a value: shell code for bash. */
function bashValues(flag: Flag): string {
  if (flag.type === "choice") return `COMPREPLY=($(compgen -W "${flag.choices.join(" ")}" -- "$cur"))`;
  const complete = "complete" in flag ? flag.complete : undefined;
  return bashPaths(complete);
}

function bashPaths(kind: string | undefined): string {
  if (kind === "directory") return 'COMPREPLY=($(compgen -d -- "$cur"))';
  if (kind === "file") return 'COMPREPLY=($(compgen -f -- "$cur"))';
  if (kind === "model") return 'COMPREPLY=($(compgen -f -W "$(lola models list --names 2>/dev/null)" -- "$cur"))';
  return "COMPREPLY=()";
}

function bash(commands: readonly Command[]): string {
  const cases = commands.map((command) => {
    const flags = entries(command);
    const values = flags
      .filter(([, flag]) => takesValue(flag))
      .map((entry) => `        ${names(entry).join("|")}) ${bashValues(entry[1])}; return ;;`);
    const words = firstWords(command, commands).join(" ");
    return `    ${command.name})
      case $prev in
${values.join("\n")}
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W "${flags.flatMap(names).join(" ")}" -- "$cur")); return; fi
      ${words ? `if ((COMP_CWORD == at + 1)); then COMPREPLY=($(compgen -W "${words}" -- "$cur")); return; fi` : ":"}
      ${bashPaths(argumentKind(command))} ;;`;
  });
  return `# bash completion of lola: source <(lola completion bash)
_lola() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} at=1
  while [[ $at -lt $COMP_CWORD && \${COMP_WORDS[at]} == -* ]]; do ((at++)); done
  COMPREPLY=()
  if ((COMP_CWORD <= at)); then
    COMPREPLY=($(compgen -W "${commands.map((c) => c.name).join(" ")} --help --version" -- "$cur"))
    return
  fi
  case \${COMP_WORDS[at]} in
${cases.join("\n")}
  esac
}
complete -o filenames -F _lola lola
`;
}

const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
/** Descriptions inside an _arguments specification. */
const zshText = (text: string) => text.replace(/[[\]:\\]/g, "\\$&").replaceAll("'", "'\\''");

function zshAction(kind: string | undefined): string {
  if (kind === "directory") return "_files -/";
  if (kind === "file") return "_files";
  if (kind === "model") return "_lola_models";
  return " ";
}

function zsh(commands: readonly Command[]): string {
  const cases = commands.map((command) => {
    const specs = entries(command).flatMap(([key, flag]) => {
      const value = !takesValue(flag)
        ? ""
        : `:${flag.value}:${flag.type === "choice" ? `(${flag.choices.join(" ")})` : zshAction("complete" in flag ? flag.complete : undefined)}`;
      const repeat = flag.type === "list" ? "*" : "";
      return names([key, flag]).map(
        (name) =>
          `'${repeat}${name}${takesValue(flag) && name.startsWith("--") ? "=" : ""}[${zshText(flag.doc)}]${value}'`,
      );
    });
    const words = firstWords(command, commands);
    const first = words.length > 0 ? [`'1:word:(${words.join(" ")})'`] : [];
    const kind = argumentKind(command);
    const rest = kind ? [`'*:argument:${zshAction(kind)}'`] : [];
    return `      ${command.name}) _arguments ${[...specs, ...first, ...rest].join(" ")} ;;`;
  });
  const list = commands.map((c) => quote(`${c.name}:${c.summary}`));
  return `#compdef lola
# zsh completion of lola: lola completion zsh > ~/.zfunc/_lola
_lola_models() { _alternative "models:model:($(lola models list --names 2>/dev/null))" 'files:file:_files' }
_lola() {
  local line state
  _arguments -C '1: :->verb' '*:: :->rest'
  case $state in
    verb) local -a verbs=(${list.join(" ")}); _describe command verbs ;;
    rest) case $line[1] in
${cases.join("\n")}
    esac ;;
  esac
}
compdef _lola lola
`;
}

function fish(commands: readonly Command[]): string {
  const lines = ["# fish completion of lola: lola completion fish | source", "complete -c lola -f"];
  const paths = (kind: string | undefined) => {
    if (kind === "directory") return " -a '(__fish_complete_directories)'";
    if (kind === "model") return " -F -a '(lola models list --names 2>/dev/null)'";
    return kind === "file" ? " -F" : "";
  };
  for (const command of commands) {
    const when = `-n '__fish_seen_subcommand_from ${command.name}'`;
    lines.push(`complete -c lola -n __fish_use_subcommand -a ${command.name} -d ${quote(command.summary)}`);
    const words = firstWords(command, commands);
    if (words.length > 0) lines.push(`complete -c lola ${when} -a ${quote(words.join(" "))}`);
    const kind = argumentKind(command);
    if (kind) lines.push(`complete -c lola ${when}${paths(kind)}`);
    for (const [key, flag] of entries(command)) {
      const short = flag.short ? ` -s ${flag.short}` : "";
      const values =
        flag.type === "choice"
          ? ` -a ${quote(flag.choices.join(" "))}`
          : paths("complete" in flag ? flag.complete : undefined);
      const value = takesValue(flag) ? ` -r${values}` : "";
      lines.push(`complete -c lola ${when}${short} -l ${longName(key, flag).slice(2)}${value} -d ${quote(flag.doc)}`);
    }
  }
  return `${lines.join("\n")}\n`;
}
