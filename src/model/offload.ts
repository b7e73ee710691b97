/** Runs programs whose experts take turns on the device: stops where the router has decided, fetches, goes on. */
import { routeForward } from "../../kernels/moe/route_forward.ts";
import { type Device, type Program, resolve, type Step, type Tensor } from "../device/device.ts";
import type { ExpertPool } from "./offload-pool.ts";

/** What a device does with programs. */
export type Runner = Pick<Device, "program" | "run">;
type RunOptions = NonNullable<Parameters<Runner["run"]>[2]>;

/** A MoE layer of a program, from after its routing on. */
interface Mixture {
  route: Step;
  /** Where the router writes each row's expert, and where the products look for its slot: u32 [R]. */
  expert: Tensor;
  slot: Tensor;
  /** The experts' products alone; and these, all that follows, and the next routing. */
  products: Program;
  onward: Program;
}

class OffloadedProgram implements Program {
  constructor(
    readonly label: string,
    readonly steps: readonly Step[],
    /** Up to the first routing. */
    readonly start: Program,
    readonly mixtures: readonly Mixture[],
  ) {}
}

/** Of rows whose expert comes with another wave: the kernels leave them alone. */
const nowhere = 0xffffffff;

/**
 * The same kernels read the same weights as when all experts are resident, and each row is one expert's, so results are equal
 * bit for bit. A run waits for the router once a MoE layer.
 */
export class Offload implements Runner {
  constructor(
    private readonly device: Device,
    private readonly pool: ExpertPool,
  ) {}

  /** @param steps of layers whose weights have the pool's slots for experts */
  program(label: string, steps: readonly Step[], maxima: Record<string, number> = {}): Program {
    const record = (some: readonly Step[]) => this.device.program(label, some, maxima);
    const routes = steps.flatMap(({ kernel }, i) => (kernel === routeForward ? [i] : []));
    const mixtures = routes.map((at, i): Mixture => {
      const route = steps[at]!;
      const rest = steps.slice(at + 1, (routes[i + 1] ?? steps.length) + 1);
      const slots = rest[0]!.bindings.expert!;
      const isProduct = ({ bindings }: Step) =>
        Object.values(bindings).some((tensor) => tensor === slots || this.pool.has(tensor));
      const { at: first, rows } = resolve(route, maxima) as Record<"at" | "rows", number>;
      return {
        route,
        expert: this.device.view(route.bindings.expert!, first, [rows]),
        slot: this.device.view(slots, first, [rows]),
        products: record(rest.slice(0, rest.findLastIndex(isProduct) + 1)),
        onward: record(rest),
      };
    });
    return new OffloadedProgram(label, steps, record(steps.slice(0, (routes[0] ?? steps.length) + 1)), mixtures);
  }

  async run(program: Program, values: Record<string, number> = {}, options: RunOptions = {}): Promise<Uint8Array[]> {
    if (!(program instanceof OffloadedProgram)) throw new Error(`${program.label} was not recorded for offloading`);
    const { read = [], signal } = options;
    const run = (part: Program, wanted: readonly Tensor[]) =>
      this.device.run(part, values, { read: wanted, ...(signal && { signal }) });
    const { start, mixtures } = program;
    let found = await run(start, mixtures[0] ? [mixtures[0].expert] : read);
    for (const [layer, { route, slot, products, onward }] of mixtures.entries()) {
      const experts = words(found[0]!).subarray(0, resolve(route, values).rows);
      const waves = this.pool.visit(layer, new Set(experts));
      for (const [i, wave] of waves.entries()) {
        const slots = await this.pool.hold(layer, wave, signal);
        this.device.upload(slot, new Uint8Array(experts.map((e) => slots.get(e) ?? nowhere).buffer));
        if (i < waves.length - 1) await run(products, []);
      }
      const next = mixtures[layer + 1];
      found = await run(onward, next ? [next.expert] : read);
    }
    return found;
  }
}

const words = (bytes: Uint8Array) => new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
