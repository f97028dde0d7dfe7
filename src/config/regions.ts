import { z } from 'zod'

const file = (description: string) => z.string().default('').describe(description)

/** Both sides of a link show a certificate. */
export const linkCertificates = z.strictObject({
  caFile: file("Certificates (PEM) of the authorities that may have signed the other side's."),
  certFile: file("This side's certificate (PEM) and what it was signed with."),
  keyFile: file('The private key (PEM) of that certificate.'),
})

export const regionName = /^[a-z]{2}(-[a-z]+)+-\d$/

/** Another daemon, which may have replicas of tables. */
export const regionSchema = z.strictObject({
  url: z
    .url({ protocol: /^https?$/, error: 'must be an http(s) URL' })
    .describe(
      'Where it listens for links: its replication.listen. http:// is for loopback alone, unless replication.insecure says otherwise.',
    ),
  serverName: z.string().min(1).optional().describe('The name in its certificate, where it is not that of the URL.'),
})
