/** Files that are no modules, imported: WGSL and scripts of pages as text, others by their paths. */
declare module "*.wgsl" {
  const code: string;
  export default code;
}

declare module "*.client.js" {
  const code: string;
  export default code;
}

declare module "*.wasm" {
  const path: string;
  export default path;
}

declare module "*.woff2" {
  const path: string;
  export default path;
}
