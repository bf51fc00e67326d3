import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [svelte()],
  // The page and the server then have one origin, and the server needs no CORS.
  server: { proxy: { "^/(assistant|cancel|threads)": "http://127.0.0.1:8000" } },
});
