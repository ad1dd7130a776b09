import js from "@eslint/js";
import svelte from "eslint-plugin-svelte";
import globals from "globals";
import ts from "typescript-eslint";
import svelteConfig from "./svelte.config.js";

/**
 * The direction of imports, lowest layer first. A layer may import from itself and from layers
 * before it, never from later ones. `paths.ts` and `router.svelte.ts` stand beside `ui`.
 */
const layers = ["format", "api", "ui", "timeline", "player", "fragments", "gaps", "pages"];

const directions = layers.map((layer, index) => ({
  files: [`src/${layer}/**/*.{ts,svelte}`],
  rules: {
    "no-restricted-imports": [
      "error",
      {
        patterns: layers.slice(index + 1).map((later) => ({
          regex: `^(\\.\\./)+${later}/`,
          message: `${layer}/ lies below ${later}/ and must not know it.`,
        })),
      },
    ],
  },
}));

export default ts.config(
  { ignores: ["dist/", "src/api/schema.d.ts"] },
  js.configs.recommended,
  ...ts.configs.strict,
  ...svelte.configs.recommended,
  {
    languageOptions: { globals: { ...globals.browser } },
    rules: {
      eqeqeq: "error",
      "no-console": "error",
      "max-lines": ["error", { max: 500, skipBlankLines: true, skipComments: true }],
      "@typescript-eslint/consistent-type-imports": "error",
      "no-restricted-globals": [
        "error",
        { name: "fetch", message: "Only src/api/client.ts talks to the server." },
      ],
    },
  },
  {
    files: ["**/*.svelte", "**/*.svelte.ts"],
    languageOptions: {
      parserOptions: { parser: ts.parser, extraFileExtensions: [".svelte"], svelteConfig },
    },
    rules: {
      // Links are plain paths built by paths.ts; this is no SvelteKit application.
      "svelte/no-navigation-without-resolve": "off",
      "svelte/button-has-type": "error",
      "svelte/no-target-blank": "error",
    },
  },
  { files: ["src/api/client.ts"], rules: { "no-restricted-globals": "off" } },
  {
    files: ["scripts/**", "*.config.{js,ts}"],
    languageOptions: { globals: { ...globals.node } },
    rules: { "no-console": "off" },
  },
  ...directions,
);
