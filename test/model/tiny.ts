/** A small random model for tests of everything around the mathematics. */
import type { ModelConfig } from "../../src/checkpoint/config.ts";
import type { Device } from "../../src/device/device.ts";
import { randomWeights } from "../../src/model/random.ts";
import { Session, type SessionOptions } from "../../src/model/session.ts";
import { loadWeights } from "../../src/model/weights.ts";

/** 3 layers (one MoE), 3 heads, 5 experts: nothing a power of two. */
export const tinyConfig: ModelConfig = {
  family: "lola_v1",
  vocabulary: 301,
  context: 48,
  width: 36,
  layers: 3,
  heads: 3,
  inner: 70,
  experts: 5,
  normEpsilon: 1e-5,
  bos: 0,
  eos: 5,
  pad: 1,
};

export function tinySession(device: Device, options: SessionOptions = {}, changes: Partial<ModelConfig> = {}): Session {
  const config = { ...tinyConfig, ...changes };
  return new Session(
    device,
    config,
    loadWeights(
      device,
      config,
      randomWeights(config, () => "f32"),
    ),
    options,
  );
}
