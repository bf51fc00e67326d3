import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [vue()],
  // The page and the server then have one origin, and the server needs no CORS.
  server: { proxy: { "^/(assistant|cancel|threads)": "http://127.0.0.1:8000" } },
});
