import { vitePreprocess } from "@sveltejs/vite-plugin-svelte";

export default {
  preprocess: vitePreprocess(),
  compilerOptions: {
    runes: true,
    // Tables turn into cards on phones by CSS display, which takes their meaning from assistive
    // technology unless the roles are spelled out. Elsewhere the roles are indeed redundant.
    warningFilter: (warning) => warning.code !== "a11y_no_redundant_roles",
  },
};
