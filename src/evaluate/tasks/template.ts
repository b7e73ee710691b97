/** Prompts of lm-evaluation-harness: Jinja as its Python has it, with a row's columns as variables. */
import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";
import { LolaError } from "../../base/errors.ts";

export type Row = Readonly<Record<string, unknown>>;
type Parsed = ReturnType<typeof parse>;
type Node = Parameters<Interpreter["evaluate"]>[0];
type Value = ReturnType<Interpreter["evaluate"]>;

export class Template {
  private readonly program: Parsed;

  /**
   * @param label names it in messages: "xcopa_et: doc_to_text"
   * @throws LolaError "usage" for what is no Jinja
   */
  constructor(
    private readonly label: string,
    source: string,
  ) {
    try {
      // The harness keeps a last line end, which the parser would leave out.
      this.program = parse(tokenize(source.endsWith("\n") ? `${source}\n` : source));
    } catch (cause) {
      throw this.refused(cause);
    }
  }

  /** @throws LolaError "usage" for a column that the row has not, or a filter that there is not */
  render(row: Row): string {
    return String(this.run(row, (python) => python.run(this.program)));
  }

  /** The value itself where the template is one expression, `{{[a, b]}}`; else what it renders to. @throws as render */
  value(row: Row): unknown {
    const [only, ...more] = this.program.body;
    if (!only || more.length > 0) return this.render(row);
    return this.run(row, (python, scope) => python.evaluate(only, scope));
  }

  private run(row: Row, work: (python: Python, scope: Environment) => Value): unknown {
    const scope = new Environment();
    for (const [name, value] of Object.entries(constants)) scope.set(name, value);
    for (const [name, value] of Object.entries(row)) scope.set(name, value);
    try {
      return plain(work(new Python(scope), scope));
    } catch (cause) {
      throw this.refused(cause);
    }
  }

  private refused(cause: unknown): LolaError {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return new LolaError("usage", `${this.label}: ${reason}`, "a template that fits the rows", { cause });
  }
}

const constants = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  range: (end: number) => Array.from({ length: end }, (_, i) => i),
};

function plain(value: Value): unknown {
  if (value.type === "ArrayValue") return (value.value as Value[]).map(plain);
  return value.value;
}

interface FilterNode {
  operand: Node;
  filter: { value?: string; callee?: { value: string }; args?: Node[] };
}

/** Where an absent column is no mistake. */
const lenient = ["default", "d"];

/** What the interpreter lacks of Python and of the harness: names must be known, a few methods, one filter. */
class Python extends Interpreter {
  private asking = 0;

  override evaluate(statement: Node, scope: Environment): Value {
    const type = statement?.type;
    if (type === "TestExpression") return this.leniently(() => super.evaluate(statement, scope));
    if (type === "FilterExpression") {
      const { operand, filter } = statement as unknown as FilterNode;
      const name = filter.value ?? filter.callee?.value ?? "";
      if (name === "regex_replace") return this.replaced(operand, filter.args ?? [], scope);
      if (lenient.includes(name)) return this.leniently(() => super.evaluate(statement, scope));
    }
    const value = super.evaluate(statement, scope);
    if (type === "Identifier" && value.type === "UndefinedValue" && this.asking === 0)
      throw new Error(`no column "${(statement as unknown as { value: string }).value}"`);
    return withMethods(value);
  }

  private leniently(work: () => Value): Value {
    this.asking++;
    try {
      return work();
    } finally {
      this.asking--;
    }
  }

  /** `text|regex_replace("find", "replace")`. */
  private replaced(operand: Node, args: readonly Node[], scope: Environment): Value {
    const [text, find, replace = ""] = [operand, ...args].map((node) => String(this.evaluate(node, scope).value));
    return scratch(text!.replace(new RegExp(find!, "g"), replace));
  }
}

const scratch = (value: unknown): Value => new Environment().set("value", value);

function withMethods(value: Value): Value {
  if (value.type === "StringValue") {
    const text = value.value as string;
    const { builtins } = value as Extract<Value, { value: string }>;
    builtins.set(
      "index",
      scratch((part: string) => found(text.indexOf(part), part)),
    );
    builtins.set(
      "find",
      scratch((part: string) => text.indexOf(part)),
    );
    builtins.set(
      "capitalize",
      scratch(() => capitalised(text)),
    );
  } else if (value.type === "ArrayValue") {
    const { builtins } = value as Extract<Value, { value: Value[] }>;
    const items = plain(value) as unknown[];
    builtins.set(
      "index",
      scratch((item: unknown) => found(items.indexOf(item), item)),
    );
  }
  return value;
}

function found(at: number, what: unknown): number {
  if (at < 0) throw new Error(`${JSON.stringify(what)} is not there to index`);
  return at;
}

/** As Python has it: the rest becomes small. */
function capitalised(text: string): string {
  const [first = ""] = text;
  return first.toUpperCase() + text.slice(first.length).toLowerCase();
}
