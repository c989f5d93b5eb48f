// Reads an emulated directory with Backstage's reader and prints what it took, as one JSON line. `cargo bench -p entrain
// --bench read_and_plan -- beside` runs it beside Entrain; the emulator's description is the only argument.
import backstage from '@backstage/plugin-catalog-backend-module-msgraph';

const emulator = JSON.parse(process.argv[2]);
const { MicrosoftGraphClient, readMicrosoftGraphOrg } = backstage;
const quiet = { debug() {}, info() {}, warn() {}, error() {}, child: () => quiet };

let held;
const client = new MicrosoftGraphClient(`${emulator.graph_url}/v1.0`, {
  async getToken() {
    if (!held) {
      const answer = await fetch(`${emulator.authority_url}/${emulator.tenant_id}/oauth2/v2.0/token`, {
        method: 'POST',
        body: new URLSearchParams({
          client_id: emulator.client_id,
          client_secret: emulator.client_secret,
          scope: 'https://graph.microsoft.com/.default',
          grant_type: 'client_credentials',
        }),
      });
      const { access_token: token, expires_in: seconds } = await answer.json();
      held = { token, expiresOnTimestamp: Date.now() + seconds * 1000 };
    }
    return held;
  },
});

const start = performance.now();
const read = await readMicrosoftGraphOrg(client, emulator.tenant_id, { loadUserPhotos: false, logger: quiet });
const ms = performance.now() - start;
console.log(JSON.stringify({
  users: read.users.length,
  groups: read.groups.length,
  ms,
  peak_kib: process.resourceUsage().maxRSS,
}));
