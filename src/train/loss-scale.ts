/**
 * Dynamic loss scaling for products in f16 (Micikevicius et al., "Mixed precision training", ICLR 2018), with LOLA's own
 * settings: DeepSpeed's scaler from 2¹¹ on, window 500, hysteresis 2, at least 1 (spec §3).
 */

export interface LossScaling {
  /** What the loss is multiplied by, a power of two. */
  scale: number;
  /** Overflows that are still borne before the scale falls. */
  patience: number;
  /** Steps without overflow since the last one, or since the scale last rose. */
  clean: number;
}

const patience = 2;
const window = 500;
const least = 1;
const most = 2 ** 24;

export const initialScaling: Readonly<LossScaling> = { scale: 2 ** 11, patience, clean: 0 };

/** The scaling of the next step. @param overflowed this step's gradient was not finite, so the step was left out */
export function nextScaling({ scale, patience: left, clean }: LossScaling, overflowed: boolean): LossScaling {
  if (overflowed)
    return left > 1
      ? { scale, patience: left - 1, clean: 0 }
      : { scale: Math.max(least, scale / 2), patience: 1, clean: 0 };
  if (clean + 1 < window) return { scale, patience: left, clean: clean + 1 };
  return { scale: Math.min(most, scale * 2), patience, clean: 0 };
}

/** Can no lower scale be tried? */
export function isLeast({ scale }: LossScaling): boolean {
  return scale <= least;
}
