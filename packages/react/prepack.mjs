/** Put what the server serves into `dist`, which is the package. */
import { cpSync, mkdirSync, rmSync } from "node:fs";

const from = new URL("../../transport/statecast/browser/", import.meta.url);
const dist = new URL("dist/", import.meta.url);

rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);
for (const module of ["react", "client", "adapters"]) {
  for (const file of [`${module}.js`, `${module}.d.ts`]) cpSync(new URL(file, from), new URL(file, dist));
}
