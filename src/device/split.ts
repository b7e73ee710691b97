/** How many rows of a tensor one binding can hold. */
import { LolaError } from "../base/errors.ts";
import { elements, storageBytes, type TensorSpec } from "./device.ts";

/** Buffers end on a whole vec4, so that kernels may read four elements at a time. */
export const bindingBytes = (bytes: number) => Math.max(16, Math.ceil(bytes / 16) * 16);

/**
 * Rows of each part that a tensor is cut into, but the last; all of them where it need not be cut.
 * @param limit bytes of the largest binding
 * @throws LolaError "device" when the tensor, or a row of one that may be split, is larger than that
 */
export function rowsOfPart({ label, shape, type, split }: TensorSpec, limit: number): number {
  const [rows = 1, ...row] = shape;
  const bytes = bindingBytes(elements(shape) * storageBytes[type]);
  if (bytes <= limit) return rows;
  const rowBytes = elements(row) * storageBytes[type];
  const most = Math.floor((limit - 16) / rowBytes);
  if (split && most >= 1) return Math.ceil(rows / Math.ceil(rows / most));
  throw new LolaError(
    "device",
    `${label} takes ${split ? rowBytes : bytes} bytes, and the largest binding of this GPU is ${limit}`,
    "a GPU with larger bindings (lola doctor), a shorter context, or --device cpu",
  );
}
