/** Prints, as JSON, the adapter that the GPU engine would find here, or the reason why there is none. */
import { probeGpu } from "../device/gpu/dawn.ts";

process.stdout.write(JSON.stringify(await probeGpu()));
process.exit(0);
