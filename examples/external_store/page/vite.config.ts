import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  // The module of this checkout. A page elsewhere keeps a copy of `/client.js` and `/client.d.ts` among its sources.
  resolve: { alias: { statecast: new URL("../../../transport/statecast/browser/client.js", import.meta.url).pathname } },
  server: { proxy: { "^/(assistant|cancel|threads)": { target: "http://127.0.0.1:8000", ws: true } } },
});
