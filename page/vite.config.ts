import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** Where `npm run dev` finds a running `statecast demo`. */
const SERVER = "http://127.0.0.1:8000";

export default defineConfig({
  base: "./",
  plugins: [react()],
  server: {
    proxy: {
      "^/(assistant|agents|cancel|resume)(\\?|$)": { target: SERVER, changeOrigin: true },
    },
  },
  build: {
    outDir: "../transport/statecast/demo/page",
    emptyOutDir: true,
    sourcemap: false,
    target: "es2022",
    // The bundle contains other people's code; their licenses travel with it.
    license: { fileName: "licenses.md" },
    modulePreload: { polyfill: false },
    // One script: the page is small and served from the same machine.
    chunkSizeWarningLimit: 1024,
  },
});
