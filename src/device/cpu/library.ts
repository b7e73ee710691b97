/** The native kernels as a loaded library: its functions, and which instruction sets it can use here. */
import { dlopen, FFIType, type Pointer } from "bun:ffi";
import { nativeLibrary, openLibrary } from "../../base/embedded.ts";
import { LolaError } from "../../base/errors.ts";
import { sha256 } from "../../base/hash.ts";

const { ptr, u64, u32, i32, cstring } = FFIType;

const symbols = {
  lola_kernels: { args: [u32], returns: ptr },
  lola_kernel: { args: [ptr, u32], returns: cstring },
  lola_signatures: { args: [], returns: cstring },
  lola_permit_amx: { args: [u32], returns: cstring },
  lola_open: { args: [ptr, u32], returns: ptr },
  lola_close: { args: [ptr] },
  lola_start: { args: [ptr, ptr, u32], returns: i32 },
  lola_work: { args: [ptr, u32], returns: u32 },
  lola_cancel: { args: [ptr] },
  lola_alloc: { args: [u64], returns: ptr },
  lola_free: { args: [ptr, u64] },
  lola_map: { args: [i32, u64, u64], returns: ptr },
  lola_unmap: { args: [ptr, u64] },
  lola_copy: { args: [ptr, ptr, u64] },
  lola_repack: { args: [ptr, ptr, u64, u64, u64, u64, u32, u32] },
} as const;

/** Byte offsets in `Step` and `Binding`. */
export const stepLayout = { step: 272, kernel: 0, bind: 8, binding: 24, params: 200, seconds: 264 };

/** What this program calls, in one line, to be held against what the library was built with. */
export const functions = `functions ${sha256(JSON.stringify([symbols, stepLayout]))}`;

const open = (path: string) => dlopen(path, symbols).symbols;

export type Library = ReturnType<typeof open>;

/** Instruction sets, from the slowest on, in the order of `lola_kernels` (native/choose.c). NEON is a portable build's. */
export const instructionSets = ["portable", "avx2", "avx512", "amx_int8", "amx"] as const;
export type InstructionSet = (typeof instructionSets)[number];

export const instructionNames: Record<InstructionSet, string> = {
  portable: process.arch === "arm64" ? "NEON" : "portable",
  avx2: "AVX2",
  avx512: "AVX-512",
  amx_int8: "AVX-512 and AMX in int8",
  amx: "AMX in bf16",
};

let loaded: Library | undefined;

/** @throws LolaError "device" when the kernels are not built or cannot be loaded, "failed" when they are another version's */
export function library(): Library {
  if (loaded) return loaded;
  const path = nativeLibrary();
  if (!path) {
    throw new LolaError(
      "device",
      "the CPU kernels are not built",
      "install a C compiler (gcc or clang), then npm start",
    );
  }
  loaded = loadLibrary(path);
  return loaded;
}

/** @throws LolaError "device" when it cannot be loaded, "failed" when it was built for another version */
export function loadLibrary(path: string): Library {
  let lib: Library;
  try {
    lib = openLibrary(path, open);
  } catch (cause) {
    if (cause instanceof LolaError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    if (/symbol/i.test(reason)) throw stale("what they are called by");
    throw new LolaError("device", `cannot load the CPU kernels: ${reason}`, "--device reference", { cause });
  }
  if (!String(lib.lola_signatures()).startsWith(`${functions}\n`)) throw stale("what they are called by");
  return lib;
}

/** Built from older sources, or newer ones: what it would compute nobody knows. No slower engine makes up for that. */
export function stale(what: string): LolaError {
  return new LolaError(
    "failed",
    `the CPU kernels were built for another version of this program: ${what} is not as it was`,
    "npm start, which builds them",
  );
}

/** A kernel of the library. */
export interface NativeKernel {
  /** In the table of an instruction set. */
  index: number;
  /** As it was when the library was built. */
  signature: string;
}

/** An address as a native function returned it; addresses of processes fit a number. */
export function pointer(address: Pointer | bigint | null): Pointer | undefined {
  return address ? (Number(address) as Pointer) : undefined;
}

/** Each instruction set that this build holds and this processor has, with its table of kernels. */
export function usableSets(lib: Library): Map<InstructionSet, Pointer> {
  const usable = new Map<InstructionSet, Pointer>();
  for (const [i, set] of instructionSets.entries()) {
    const kernels = pointer(lib.lola_kernels(i));
    if (kernels) usable.set(set, kernels);
  }
  return usable;
}

/** Asks the system to let this process use a set, where that takes a permit; what is missing for it, if anything is. */
export function permit(lib: Library, set: InstructionSet): string | undefined {
  if (set !== "amx" && set !== "amx_int8") return undefined;
  return lib.lola_permit_amx(Number(set === "amx"))?.toString();
}

/** The kernels of a table, by name. */
export function kernelsOf(lib: Library, kernels: Pointer): Map<string, NativeKernel> {
  const lines = String(lib.lola_signatures()).split("\n");
  const signatures = new Map(lines.map((line) => [line.slice(0, line.indexOf("(")), line]));
  const found = new Map<string, NativeKernel>();
  for (;;) {
    const name = lib.lola_kernel(kernels, found.size);
    if (!name) return found;
    found.set(String(name), { index: found.size, signature: signatures.get(String(name)) ?? "" });
  }
}
