/** Every kernel in every instruction set that this machine has, against the reference. */
import { describe, expect, test } from "bun:test";
import { kernels } from "../../../kernels/index.ts";
import { openCpu } from "../../../src/device/cpu/cpu.ts";
import { library, usableSets } from "../../../src/device/cpu/library.ts";
import { check, weightTypes } from "../../kernels/compare.ts";
import { boundOf } from "./bounds.ts";

for (const isa of usableSets(library()).keys())
  describe(`cpu, ${isa}`, () => {
    for (const kernel of kernels)
      test(kernel.name, async () => {
        const device = openCpu({ isa, threads: 3 });
        const wrong: string[] = [];
        for (const type of weightTypes(kernel))
          for (const example of kernel.cases())
            wrong.push(...(await check(device, kernel, example, type, boundOf(isa, kernel, type))));
        device.close();
        expect(wrong).toEqual([]);
      });
  });
