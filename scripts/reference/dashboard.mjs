import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

/** The dashboard is written in TypeScript, so that the compiler checks it against Grafana's own types. */
export async function dashboardFile() {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('./dashboard.ts', import.meta.url))],
    bundle: true,
    format: 'esm',
    platform: 'node',
    write: false,
  })
  const url = `data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`
  const { dashboard } = await import(url)
  return `${JSON.stringify(dashboard(), null, 2)}\n`
}
