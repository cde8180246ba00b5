// Getting in and out.
import assert from 'node:assert/strict';
import { logIn, search, rows, typed, write } from '../lib/browser.mjs';
import { tokenOf } from '../lib/cluster.mjs';

export const scenarios = {
    async a_wrong_password_is_refused_in_words(tabs, cluster) {
        tabs.allow(/status of 4(01|22)/);
        const page = await tabs.open(cluster.webservers[0]);
        await page.getByLabel('User name').fill('admin');
        await page.getByLabel('Password').fill('not the password');
        await page.keyboard.press('Enter');
        await page
            .getByRole('alert')
            .getByText('The user name or the password is not right.')
            .waitFor();
        assert.equal(await page.getByLabel('User name').inputValue(), 'admin');
        assert.equal(await page.getByLabel('Password').inputValue(), '');
        assert.equal(await tokenOf(page), null);
        await tabs.shot(page, 'login-wrong');
        await logIn(page);
    },

    async a_newcomer_is_told_the_first_password_and_to_change_it(tabs, cluster) {
        const page = await tabs.open(cluster.webservers[0]);
        await page.getByText('New installation?').waitFor();
        await logIn(page);
        await page.getByText('You still use the default password.').waitFor();
        await page.getByRole('button', { name: 'Change it' }).click();
        const dialog = page.getByRole('dialog', { name: 'Change your password' });
        await dialog.getByLabel('Password until now').fill('changeme');
        await dialog.getByLabel('New password', { exact: true }).fill('one thing');
        await dialog.getByLabel('New password, again').fill('another thing');
        await page.keyboard.press('Enter');
        await dialog.getByText('The two new passwords are not the same.').waitFor();
        await page.keyboard.press('Escape');
        await dialog.waitFor({ state: 'detached' });
    },

    async logging_out_ends_the_session_on_every_webserver(tabs, cluster) {
        const page = await tabs.loginAnew(cluster.webservers[0]);
        const token = await tokenOf(page);
        await page.getByRole('button', { name: 'Account of admin' }).click();
        await page.getByRole('button', { name: 'Log out' }).click();
        await page.getByLabel('User name').waitFor();
        assert.equal(await tokenOf(page), null);
        for (const webserver of cluster.webservers) {
            await cluster.refused(webserver, token);
        }
    },

    async a_session_that_ends_keeps_what_was_typed(tabs, cluster) {
        tabs.allow(/status of 401/);
        const page = await tabs.loginAnew(cluster.webservers[0]);
        await search(page, 'tag=gravwell');
        await write(page, 'tag=gravwell grep "half a thou');
        await cluster.call(cluster.webservers[0], 'PUT', '/api/logout', await tokenOf(page));
        await page.getByText('Your session has ended.').waitFor();
        await logIn(page);
        assert.equal(await typed(page), 'tag=gravwell grep "half a thou');
        // What was on the screen comes back as well.
        await rows(page).first().waitFor();
    },

    async a_session_is_good_on_every_webserver_and_through_the_load_balancer(tabs, cluster) {
        const page = await tabs.loginAnew(cluster.loadbalancer);
        await search(page, 'tag=gravwell');
        await rows(page).first().waitFor();
        const token = await tokenOf(page);
        for (const webserver of cluster.webservers) {
            assert.equal(
                JSON.parse(await cluster.call(webserver, 'GET', '/api/info/whoami', token)).User,
                'admin',
            );
        }
    },

    async a_link_runs_its_query_after_the_login(tabs, cluster) {
        const page = await tabs.loginAnew(cluster.webservers[0], {
            hash: '#/search?q=tag%3Dgravwell+limit+3&t=24h',
        });
        await page.getByText('3 entries in').waitFor();
        assert.equal(await typed(page), 'tag=gravwell limit 3');
        await page.getByRole('button', { name: 'Time range: Last 24 hours' }).waitFor();
    },
};
