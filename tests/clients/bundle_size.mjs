// The size of bundles of the package: minified, compressed with gzip, without its peers. Run where the package is installed.
//
// Prints the bytes of the whole package, and of the hook without the modules that it shares.

import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";

const installed = createRequire(`${process.cwd()}/`);
const { build } = await import(pathToFileURL(installed.resolve("vite")));

writeFileSync("entry.js", 'export * from "@statecast/react";\n');

const sizeOf = async (external) => {
  const { output } = await build({
    configFile: false,
    logLevel: "silent",
    build: {
      write: false,
      minify: true,
      rolldownOptions: { input: "entry.js", external, preserveEntrySignatures: "strict", output: { format: "es" } },
    },
  });
  return output.map(({ code }) => gzipSync(code, { level: 9 }).length).reduce((one, other) => one + other);
};

const peers = [/^react($|\/)/, "@assistant-ui/react"];
console.log(JSON.stringify({ whole: await sizeOf(peers), hook: await sizeOf([...peers, "./client.js", "./adapters.js"]) }));
process.exit(0);
