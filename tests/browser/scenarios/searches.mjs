// Searches that are kept: saved on one webserver, seen, opened and deleted on another.
import { DESKTOP, PHONE, finished, rows, search, write } from '../lib/browser.mjs';
import { tokenOf } from '../lib/cluster.mjs';

const TAG = `kept${process.pid}`;

function list(page, name) {
    return page
        .getByRole('list', { name: 'Searches' })
        .getByRole('listitem')
        .filter({ hasText: name });
}

export const scenarios = {
    async a_saved_search_is_opened_and_deleted_on_another_webserver(tabs, cluster) {
        cluster.ingest(TAG, ['kept one', 'kept two <b>']);
        const page = await tabs.login(cluster.webservers[0]);
        const name = `Mine ${TAG} <i>`;
        await search(page, `tag=${TAG}`);
        await page.getByTitle('Save and share the results').click();
        await page.getByLabel('Name', { exact: true }).fill(name);
        await tabs.shot(page, 'save-search');
        await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
        await page.getByText('The search is saved.').waitFor();

        const other = await tabs.login(cluster.webservers[1], { hash: '#/searches' });
        await list(other, name).getByText('Saved', { exact: true }).waitFor();
        await tabs.shot(other, 'searches');
        await other.setViewportSize(PHONE);
        await tabs.shot(other, 'searches-phone');
        await other.setViewportSize(DESKTOP);
        await list(other, name).getByTitle('Open').click();
        await finished(other);
        await rows(other).getByText('kept two <b>').waitFor();
        const link = other.url();
        const again = other.waitForRequest(/\/api\/searchctrl\/[0-9]+\/attach$/);
        await other.reload(); // shows what was kept, and runs nothing
        await again;
        await finished(other);
        await rows(other).getByText('kept two <b>').waitFor();

        await other.goto(`${cluster.webservers[1]}/#/searches`);
        await list(other, name).getByTitle('Delete').click();
        await list(other, name).getByRole('button', { name: 'Really delete' }).click();
        await list(other, name).waitFor({ state: 'detached' });
        tabs.allow(/404 .*searchctrl/); // it is gone
        await other.goto(link);
        await other.reload(); // what is on the screen stays there
        await other.getByRole('button', { name: 'Try again' }).click();
        await finished(other);
        await rows(other).getByText('kept two <b>').waitFor();
    },

    async a_search_that_runs_is_seen_and_stopped_elsewhere(tabs, cluster) {
        cluster.ingest(TAG, ['kept three']);
        const page = await tabs.login(cluster.webservers[0]);
        const query = `tag=${TAG} grep nothing-${process.pid}`;
        await write(page, query);
        await page.getByRole('button', { name: 'Live', exact: true }).click();
        await page.getByTitle('Goes on when you leave').click();
        await page.getByText('It goes on when you leave.').waitFor();
        const other = await tabs.login(cluster.webservers[1], { hash: '#/searches' });
        await list(other, query).getByText('Running in the background').waitFor();
        await tabs.shot(other, 'searches-running');
        await list(other, query).getByRole('button', { name: 'Stop' }).click();
        await list(other, query).getByText('Finished', { exact: true }).waitFor();
        await page.getByText(/^0 entries in/).waitFor();
        const token = await tokenOf(page);
        const all = JSON.parse(
            await cluster.call(cluster.webservers[0], 'GET', '/api/searchctrl', token),
        );
        for (const one of all.filter((found) => found.UserQuery === query)) {
            await cluster.call(cluster.webservers[0], 'DELETE', `/api/searchctrl/${one.ID}`, token);
        }
    },
};
