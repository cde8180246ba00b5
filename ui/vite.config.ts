import { svelte } from '@sveltejs/vite-plugin-svelte';
import { loadEnv } from 'vite';
import { defineConfig } from 'vitest/config';

// `npm run dev` shows the page with hot reload and takes its data from a running cluster.
const server = loadEnv('', '.', 'AQUIFER_')['AQUIFER_SERVER'] ?? 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: 'es2022',
    // The server's Content-Security-Policy allows files of this origin only: nothing is put inline.
    assetsInlineLimit: 0,
    // ECharts, which is fetched when the first chart is drawn.
    chunkSizeWarningLimit: 700,
    modulePreload: { polyfill: false },
  },
  server: {
    host: '127.0.0.1',
    proxy: {
      '/api': server,
      '/readyz': server,
    },
  },
  test: {
    include: ['src/**/*.test.ts'],
    environment: 'node',
    // The tests share nothing that one could spoil; a process of its own for each file took 3 times the CPU.
    isolate: false,
    // Ends what hangs; a busy machine is no fault.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
