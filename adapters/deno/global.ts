/** The members of Deno's global object that are used, so that the package type-checks without Deno's types. */

/** A part of `Deno`. */
export interface DenoGlobal {
  readonly version: { readonly deno: string };
  readonly permissions: {
    querySync(descriptor: { readonly name: "run" | "read" | "write" | "net" | "env" | "sys" | "ffi" }): { readonly state: "granted" | "prompt" | "denied" };
  };
  serve(
    options: {
      readonly hostname: string;
      readonly port: number;
      readonly signal: AbortSignal;
      onListen(): void;
      onError(error: unknown): Response;
    },
    handler: (request: Request, info: { readonly remoteAddr: { readonly hostname?: string }; readonly completed: Promise<void> }) => Promise<Response>,
  ): { readonly addr: { readonly port: number }; shutdown(): Promise<void> };
}

/** Deno's global object. */
export const denoGlobal: DenoGlobal = (globalThis as unknown as { readonly Deno: DenoGlobal }).Deno;
