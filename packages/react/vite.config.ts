import { defineConfig, type Plugin } from "vite";

const BROWSER = new URL("../../transport/statecast/browser/", import.meta.url).pathname;

/** The modules that the hook is made with stand beside it, on the server and in the package: `statecast/client.js`. */
const besides = (): Plugin => ({
  name: "besides",
  enforce: "pre",
  resolveId: (source) =>
    source.startsWith("statecast/") ? { id: source.replace("statecast/", "./"), external: true } : null,
});

export default defineConfig({
  plugins: [besides()],
  build: {
    outDir: BROWSER,
    emptyOutDir: false,
    minify: false,
    target: "es2022",
    lib: { entry: "src/index.ts", formats: ["es"], fileName: () => "react.js" },
    rolldownOptions: {
      external: ["react", "@assistant-ui/react"],
      // Next.js takes a module with hooks for one of the client only where it says so in its first line.
      output: {
        banner: '"use client";\n// @ts-self-types="./react.d.ts"\n// Built from packages/react by `npm run build`; change it there.',
      },
    },
  },
});
