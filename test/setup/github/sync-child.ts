/** A process that syncs one repository, to be killed: `<database url> <forge url> <repo id>`. */
import { syncRepo } from '../../../src/services/sync/sync-repo.ts';
import { never, openProcess } from './stage.ts';

const [databaseUrl = '', gitHubUrl = '', id = ''] = process.argv.slice(2);
const { syncDeps, close } = openProcess(databaseUrl, gitHubUrl, {});
await syncRepo(syncDeps, id, never);
await close();
