/** Two pipelines over the records of `BatchMaker`: the cheapest that does anything, and one that keeps state for each key. */
export const samplePipelines: Readonly<
  Record<string, (names: { stream: string; table: string; file: string }) => string>
> = {
  filter: ({ stream, file }) => `import { file, pipeline, stream } from 'millrace'
export default pipeline('${stream}-filter')
  .from(stream<{ price: number }>('${stream}'))
  .filter((record) => record.value.price === 7)
  .to(file('${file}', (record) => record.value.price))`,
  'sum per key into a table': ({ stream, table }) => `import { pipeline, stream, table } from 'millrace'
export default pipeline('${stream}-sum')
  .from(stream<{ price: number }>('${stream}'))
  .keyByPartition()
  .sum('price', (record) => record.value.price)
  .to(table('${table}', (sum, key) => ({ key: key.key, sum })))`,
}
