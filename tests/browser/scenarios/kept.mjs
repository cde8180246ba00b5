// What is downloaded; and what is said when the datastore or the webserver is away.
import assert from 'node:assert/strict';
import { finished, rows, search } from '../lib/browser.mjs';

export const scenarios = {
    async results_can_be_downloaded(tabs, cluster) {
        const page = await tabs.login(cluster.webservers[0]);
        await search(page, 'tag=gravwell limit 5');
        await rows(page).first().waitFor();
        await page.getByRole('button', { name: 'Download' }).click();
        const coming = page.waitForEvent('download');
        await page.getByRole('button', { name: 'CSV' }).click();
        const download = await coming;
        assert.match(download.suggestedFilename(), /^aquifer-\d+\.csv$/);
        let text = '';
        for await (const chunk of await download.createReadStream()) {
            text += chunk;
        }
        assert.match(text, /^Timestamp,Source,Tag,Data\r?\n/);
        assert.ok(text.trimEnd().split(/\r?\n(?=\d{4}-)/).length >= 6);
    },

    async a_datastore_that_is_away_is_said_and_searching_goes_on(tabs, cluster) {
        const page = await tabs.login(cluster.webservers[0]);
        const Datastore = {
            State: 'offline',
            Degraded: true,
            Address: '192.0.2.1:9405',
            Reason: 'connection refused',
            Unsynced: 2,
        };
        let away = true;
        await page.route('**/api/settings', async (route) => {
            const response = await route.fetch();
            const settings = await response.json();
            assert.equal(
                typeof settings.Datastore.Degraded,
                'boolean',
                'the server says how the datastore is doing',
            );
            await route.fulfill({ response, json: away ? { ...settings, Datastore } : settings });
        });
        await page.reload();
        await page.getByText('Degraded:').waitFor();
        await tabs.shot(page, 'degraded');
        await search(page, 'tag=gravwell');
        away = false;
        await page.getByText('Degraded:').waitFor({ state: 'detached' });
    },

    async a_webserver_that_is_gone_is_said_and_nothing_is_lost(tabs, cluster) {
        tabs.allow(/net::ERR_/);
        const page = await tabs.login(cluster.webservers[0]);
        await search(page, 'tag=gravwell');
        await rows(page).first().waitFor();
        await page.context().setOffline(true);
        await page.getByText('The webserver does not answer.').waitFor();
        assert.ok((await rows(page).count()) > 0, 'the rows that are here stay readable');
        await page.context().setOffline(false);
        await page.getByText('The webserver does not answer.').waitFor({ state: 'detached' });
        await page.getByRole('button', { name: 'Search', exact: true }).click();
        await finished(page);
    },
};
