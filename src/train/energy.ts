/** Joules that the processor has used, where the machine tells (Linux powercap, Intel and AMD RAPL). */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

interface Counter {
  path: string;
  /** Microjoules at which it begins again at 0. */
  range: number;
  last: number;
}

/** Counters of all processor packages, read now and then. */
export class EnergyMeter {
  private readonly counters: Counter[];

  constructor(root = "/sys/class/powercap") {
    this.counters = listed(root)
      .filter((name) => /^intel-rapl:\d+$/.test(name))
      .flatMap((name) => {
        const path = join(root, name, "energy_uj");
        const [range, last] = [read(join(root, name, "max_energy_range_uj")), read(path)];
        return range === undefined || last === undefined ? [] : [{ path, range, last }];
      });
  }

  /** Joules since the last call, or since the meter was made; undefined where the machine does not tell. */
  lap(): number | undefined {
    if (this.counters.length === 0) return undefined;
    let micro = 0;
    for (const counter of this.counters) {
      const now = read(counter.path);
      if (now === undefined) return undefined;
      micro += now >= counter.last ? now - counter.last : now + counter.range - counter.last;
      counter.last = now;
    }
    return micro / 1e6;
  }
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Undefined where the file is missing or, as mostly, only root may read it. */
function read(path: string): number | undefined {
  try {
    return Number(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}
