/** What went wrong with a device, told once and truly: out of memory, lost, or a call that Dawn refused. */
import { LolaError } from "../../base/errors.ts";

/** Faults that a test asks for, counted from 1. */
export interface Faults {
  /** The device is lost at this submit. */
  loseAtSubmit?: number;
  /** Creating this buffer runs out of memory. */
  failBuffer?: number;
}

const restart = "the same command again; lola doctor shows the device; --device cpu";
const smaller = "a smaller model or type, a shorter context, or --device cpu";

export class Health {
  private failure: LolaError | undefined;
  private lost = false;
  private closed = false;
  private readonly scopes = new Set<Promise<void>>();
  private readonly waiting = new Set<(error: Error) => void>();
  private buffers = 0;
  private submits = 0;

  constructor(
    private readonly device: GPUDevice,
    private readonly faults: Faults,
  ) {
    device.onuncapturederror = ({ error }) => this.fail(`the GPU refused a call: ${firstLine(error.message)}`, restart);
    device.lost.then(({ message }) => {
      this.lost = true;
      const reason = this.closed ? "it was closed" : firstLine(message) || "no reason given";
      // Loss explains whatever was reported a moment before, so it takes its place.
      this.failure = new LolaError("device", `the GPU device was lost: ${reason}`, restart);
      for (const giveUp of this.waiting) giveUp(this.failure);
    });
  }

  /** @throws LolaError "device" the first failure, if there was one */
  check(): void {
    if (this.failure) throw this.failure;
  }

  private fail(message: string, hint: string): void {
    this.failure ??= new LolaError("device", message, hint);
  }

  /**
   * Creates a buffer. Dawn reports a lack of memory later; `settle` waits for it.
   * @param label for our own messages
   * @throws LolaError "device"
   */
  buffer(label: string, size: number, usage: GPUBufferUsageFlags): GPUBuffer {
    const message = `${label} needs ${size} bytes, which the GPU does not have`;
    return this.scoped("out-of-memory", message, smaller, () => {
      const buffer = this.device.createBuffer({ size, usage });
      if (++this.buffers === this.faults.failBuffer) injectOutOfMemory(this.device);
      return buffer;
    });
  }

  /**
   * Creates a pipeline; `settle` waits for the errors.
   * @param label for our own messages
   * @throws LolaError "device"
   */
  pipeline(label: string, create: () => GPUComputePipeline): GPUComputePipeline {
    return this.scoped("validation", `the GPU refused ${label}`, restart, create);
  }

  /** Calls `create`, and says `message` if Dawn then or later reports an error of the kind. */
  private scoped<T>(filter: GPUErrorFilter, message: string, hint: string, create: () => T): T {
    this.check();
    this.device.pushErrorScope(filter);
    try {
      return create();
    } catch (error) {
      this.fail(`${message}: ${firstLine((error as Error).message)}`, hint);
      throw this.failure ?? error;
    } finally {
      const scope = this.device.popErrorScope().then(
        (error) => {
          if (error && !this.lost) this.fail(`${message}: ${firstLine(error.message)}`, hint);
        },
        () => {},
      );
      this.scopes.add(scope);
      scope.then(() => this.scopes.delete(scope));
    }
  }

  /** Waits for what Dawn has to say about the buffers created so far. @throws LolaError "device" */
  async settle(): Promise<void> {
    if (this.scopes.size > 0) await this.alive(Promise.all(this.scopes));
    this.check();
  }

  /** To be called before each submit. */
  submitting(): void {
    this.check();
    if (++this.submits === this.faults.loseAtSubmit) lose(this.device);
  }

  /**
   * A wait that ends when the device does.
   * @throws LolaError "device"
   */
  async alive<T>(wait: Promise<T>): Promise<T> {
    // Not a reaction on `device.lost` for each wait: that promise would keep them all.
    let giveUp = (_: Error) => {};
    const end = new Promise<never>((_, reject) => {
      giveUp = reject;
    });
    this.waiting.add(giveUp);
    try {
      return await Promise.race([wait, end]);
    } catch (error) {
      // A loss is reported within a few turns of the loop after the call that it broke.
      if (!this.lost) await Promise.race([this.device.lost, new Promise((done) => setTimeout(done, 50))]);
      this.fail(`the GPU failed: ${firstLine(String((error as Error).message))}`, restart);
      throw this.failure ?? error;
    } finally {
      this.waiting.delete(giveUp);
    }
  }

  /** From here on the loss of the device is meant. */
  close(): void {
    this.closed = true;
    this.device.destroy();
  }
}

const firstLine = (message: string) => message.split("\n", 1)[0]!;

/** Destroys the device behind bun-webgpu's back, as a driver would. */
function lose(device: GPUDevice): void {
  const { lib, ptr } = device as unknown as { lib: { wgpuDeviceDestroy(ptr: unknown): void }; ptr: unknown };
  lib.wgpuDeviceDestroy(ptr);
}

/** bun-webgpu has Dawn's hook for tests. */
function injectOutOfMemory(device: GPUDevice): void {
  (device as unknown as { injectError(type: string, message: string): void }).injectError("out-of-memory", "injected");
}
