/** WGSL files imported as text. */
declare module "*.wgsl" {
  const code: string;
  export default code;
}
