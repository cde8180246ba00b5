// Users, groups and the own account, on both webservers.
import assert from 'node:assert/strict';
import { DESKTOP, logIn, PHONE } from '../lib/browser.mjs';
import { eventually } from '../lib/cluster.mjs';

export const scenarios = {
    async people_are_made_grouped_locked_and_deleted(tabs, cluster) {
        tabs.allow(/status of 4(01|23)/); // also: the account is deleted under its session
        const stamp = Date.now();
        const [login, team] = [`ann${stamp}`, `team ${stamp}`];
        const page = await tabs.login(cluster.webservers[0], { hash: '#/people' });
        const there = await tabs.login(cluster.webservers[1], { hash: '#/people' });
        await page.getByRole('button', { name: 'Group', exact: true }).click();
        await page.getByLabel('Name', { exact: true }).fill(team);
        await page.getByRole('button', { name: 'Save' }).click();
        await there.getByRole('list', { name: 'Groups' }).getByText(team).waitFor();
        await page.getByRole('button', { name: 'User', exact: true }).click();
        await page.getByLabel('User name').fill(login);
        await page.getByLabel('Full name').fill('<b>Ann</b>');
        await page.getByLabel('Password').fill('first secret');
        await page.getByLabel(team).check();
        await tabs.shot(page, 'people-new');
        await page.getByRole('button', { name: 'Save' }).click();
        const row = (on) =>
            on.getByRole('list', { name: 'Users' }).getByRole('button', { name: login });
        await row(there).getByText(team).waitFor();
        await row(there).getByText('<b>Ann</b>').waitFor();

        // Locked there, refused here; with a new password and unlocked here, let in there.
        await row(there).click();
        await there.getByLabel('Locked').check();
        await there.getByRole('button', { name: 'Save' }).click();
        await row(page).getByText('Locked').waitFor();
        const other = await tabs.open(cluster.webservers[0]);
        await other.getByLabel('User name').fill(login);
        await other.getByLabel('Password').fill('first secret');
        await other.keyboard.press('Enter');
        await other.getByText('This account is locked.').waitFor();
        await row(page).click();
        await page.getByLabel('Locked').uncheck();
        await page.getByLabel('New password').fill('second secret');
        await page.getByRole('button', { name: 'Save' }).click();
        await row(there).getByText('Locked').waitFor({ state: 'detached' });
        const again = await tabs.open(cluster.webservers[1], { hash: '#/people' });
        await logIn(again, login, 'second secret');
        await again.getByText('Only administrators').waitFor();

        await row(page).click();
        await page.getByRole('button', { name: 'Delete' }).click();
        await page.getByRole('button', { name: 'Delete for good' }).click();
        await row(there).waitFor({ state: 'detached' });
        await page.getByRole('button', { name: team }).click();
        await page.getByRole('button', { name: 'Delete' }).click();
        await page.getByRole('button', { name: 'Delete for good' }).click();
        await there.getByText(team).waitFor({ state: 'detached' });
    },

    async preferences_follow_the_user_to_another_browser(tabs, cluster) {
        const page = await tabs.login(cluster.webservers[0], { hash: '#/history' });
        // An answer that is late takes back nothing that has been chosen.
        let go;
        const chosen = new Promise((resolve) => (go = resolve));
        await page.route('**/preferences', async (route) => {
            await chosen;
            await route.fallback();
        });
        await page.evaluate(() => (location.hash = '#/account'));
        const save = async (colours, range, zone) => {
            await page.getByLabel('Time zone').selectOption(zone);
            await page.getByLabel('Colours', { exact: true }).selectOption(colours);
            await page.getByLabel('Time range of a new search').selectOption(range);
            const saved = page.waitForResponse(
                (one) => one.request().method() === 'PUT' && one.url().endsWith('/preferences'),
            );
            go();
            await page.getByRole('button', { name: 'Save preferences' }).click();
            await saved; /* what was said before may still be there */
            await page.getByText('Your preferences have been saved.').waitFor();
        };
        await save('Dark', 'Last 7 days', 'Asia/Tokyo');
        const there = await tabs.loginAnew(cluster.webservers[1]);
        await there.locator(':root[data-theme=dark]').waitFor();
        await there.getByRole('button', { name: 'Time range: Last 7 days' }).waitFor();
        await there.evaluate(() => (location.hash = '#/account'));
        await eventually(
            'the zone',
            async () => (await there.getByLabel('Time zone').inputValue()) === 'Asia/Tokyo',
        );
        await save('As the system', 'Last hour', 'As the browser');
        await page.locator(':root:not([data-theme])').waitFor();

        // What is chosen above, and elsewhere meanwhile, stays.
        const path = '/api/users/1/preferences';
        const ask = async (method, body) => {
            const token = await cluster.session();
            const said = await cluster.call(cluster.webservers[0], method, path, token, body);
            return method === 'GET' ? JSON.parse(said) : null;
        };
        const kept = await ask('GET');
        await ask('PUT', {
            ...kept,
            later: 'kept',
            aquifer: { ...kept.aquifer, favourites: ['f'] },
        });
        await page.getByRole('button', { name: /Switch to light/ }).click();
        await eventually('light', async () => (await ask('GET')).aquifer.theme === 'light');
        await page.reload();
        await page.locator(':root[data-theme=light]').waitFor();
        await eventually(
            'the account says so too',
            async () =>
                (await page.getByLabel('Colours', { exact: true }).inputValue()) === 'light',
        );
        await save('As the system', 'The one used last', 'As the browser');
        const after = await ask('GET');
        assert.deepEqual(
            [after.later, after.aquifer.favourites, after.aquifer.range],
            ['kept', ['f'], ''],
        );
        await ask('PUT', { ...after, aquifer: { ...after.aquifer, favourites: [] } });
    },

    async a_user_is_limited_and_sessions_are_ended_from_elsewhere(tabs, cluster) {
        tabs.allow(/status of 40[13]/);
        const login = `limited${Date.now()}`;
        const page = await tabs.login(cluster.webservers[0], { hash: '#/people' });
        await page.getByRole('button', { name: 'User', exact: true }).click();
        await page.getByLabel('User name').fill(login);
        await page.getByLabel('Password').fill('pw');
        await page.getByLabel('May only do what is chosen here').check();
        await page.getByRole('button', { name: 'Reader', exact: true }).click();
        await page.getByLabel('Read macros').uncheck();
        await tabs.shot(page, 'people-rights');
        await page.getByRole('button', { name: 'Save' }).click();
        await page.getByRole('dialog').waitFor({ state: 'detached' });
        await cluster.knows(cluster.webservers[1], login);

        const there = await tabs.open(cluster.webservers[1], { hash: '#/macros' });
        await logIn(there, login, 'pw');
        await there.getByText('does not have this capability').waitFor();
        await there.getByRole('link', { name: 'Templates' }).click();
        await there.getByRole('heading', { name: 'Templates' }).waitFor();

        // Ended from here: the page there stays as it is, below a login.
        await page
            .getByRole('list', { name: 'Users' })
            .getByRole('button', { name: login })
            .click();
        await page.getByRole('button', { name: /^End the session/ }).click();
        await there.getByRole('dialog', { name: 'Log in again' }).waitFor();
        await page.getByText('None.').waitFor();
        await page.getByRole('button', { name: 'Delete' }).click();
        await page.getByRole('button', { name: 'Delete for good' }).click();
    },

    async a_token_is_shown_once_and_may_what_was_chosen(tabs, cluster) {
        const name = `robot ${Date.now()}`;
        const page = await tabs.login(cluster.webservers[0], { hash: '#/account' });
        await page.getByRole('button', { name: 'New token' }).click();
        await page.getByLabel('Name', { exact: true }).fill(name);
        await page.getByTitle('Search', { exact: true }).check();
        await tabs.shot(page, 'token-new');
        await page.getByRole('button', { name: 'Make' }).click();
        const value = await page.getByRole('dialog').getByText(/^aq_/).innerText();
        const ask = (path) =>
            fetch(cluster.webservers[1] + path, { headers: { 'Gravwell-Token': value.trim() } });
        await eventually('the token is good there', async () => (await ask('/api/tags')).ok);
        assert.equal((await ask('/api/dashboards')).status, 403);
        await page.getByRole('button', { name: 'Done' }).click();
        const tokens = page.getByRole('region', { name: 'API tokens' });
        await tokens.getByText(name).waitFor();
        const there = await tabs.login(cluster.webservers[1], { hash: '#/account' });
        const far = there.getByRole('region', { name: 'API tokens' }).getByText(name);
        await far.waitFor();
        assert.equal(await page.getByText(value.trim()).count(), 0);
        const remove = page.getByRole('button', { name: `Delete ${name}` });
        await remove.click();
        await remove.click();
        await tokens.getByText(name).waitFor({ state: 'detached' });
        await far.waitFor({ state: 'detached' });
    },

    async pictures_of_people_and_account(tabs, cluster) {
        for (const [name, options] of [
            ['light', { scheme: 'light', viewport: DESKTOP }],
            ['dark', { scheme: 'dark', viewport: DESKTOP }],
            ['phone', { scheme: 'light', viewport: PHONE }],
        ]) {
            const page = await tabs.login(cluster.webservers[0], { hash: '#/people', ...options });
            await page.getByRole('list', { name: 'Users' }).getByText('admin').first().waitFor();
            await tabs.shot(page, `${name}-people`);
            await page.getByRole('button', { name: 'Account of admin' }).click();
            await page.getByRole('link', { name: 'Account and preferences' }).click();
            await page.getByRole('heading', { name: 'Preferences' }).waitFor();
            await tabs.shot(page, `${name}-account`);
        }
    },
};
