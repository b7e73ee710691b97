/** Prints what the kernel library is built for, which it will tell when it is loaded: its functions, then each kernel's signature. */
import { kernels } from "../../kernels/index.ts";
import { functions } from "../device/cpu/library.ts";
import { probes } from "../device/cpu/roof.ts";
import { signatureOf } from "../device/cpu/signature.ts";

process.stdout.write([functions, ...[...kernels, ...probes].map(signatureOf)].join("\n"));
