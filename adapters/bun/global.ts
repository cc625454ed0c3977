/** The members of Bun's global object that are used, so that the package type-checks without Bun's types. */

/** A server of Bun's. */
export interface BunServer {
  readonly port?: number | undefined;
  /** Accepts no more; with `true` ends connections under way. */
  stop(closeActiveConnections?: boolean): Promise<void>;
  requestIP(request: Request): { readonly address: string } | null;
}

/** A part of `Bun`. */
export interface BunGlobal {
  readonly version: string;
  serve(options: {
    readonly hostname: string;
    readonly port: number;
    readonly idleTimeout: number;
    readonly development: boolean;
    readonly reusePort: boolean;
    readonly fetch: (request: Request, server: BunServer) => Promise<Response>;
    readonly error: (error: Error) => Response;
  }): BunServer;
}

/** Bun's global object. */
export const bunGlobal: BunGlobal = (globalThis as unknown as { readonly Bun: BunGlobal }).Bun;
