/** Whether this machine has a Vulkan device at all: without one Dawn prints warnings on stderr, which is not Dawn's to write on. */
import { dlopen, ptr } from "bun:ffi";

/** `VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO`; every other field of the 64-byte structure may be zero. */
const instanceCreateInfo = 1;

/** Asks the Vulkan loader for an instance, which it gives only when it finds a driver, and for its devices. Linux. */
export function hasVulkanDevice(): boolean {
  try {
    const { symbols, close } = dlopen("libvulkan.so.1", {
      vkCreateInstance: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
      vkEnumeratePhysicalDevices: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
      vkDestroyInstance: { args: ["ptr", "ptr"], returns: "void" },
    });
    const info = new Uint32Array(new ArrayBuffer(64));
    info[0] = instanceCreateInfo;
    const instance = new BigUint64Array(new ArrayBuffer(8));
    const devices = new Uint32Array(new ArrayBuffer(4));
    if (symbols.vkCreateInstance(ptr(info), null, ptr(instance)) === 0) {
      const handle = Number(instance[0]) as ReturnType<typeof ptr>;
      symbols.vkEnumeratePhysicalDevices(handle, ptr(devices), null);
      symbols.vkDestroyInstance(handle, null);
    }
    close();
    return devices[0]! > 0;
  } catch {
    return false;
  }
}
