/* Copyright: (c) 2026, kubewright contributors
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Hold a pod's namespaces until a signal arrives, and reap orphaned processes. -v prints the version and exits:
 * kubeadm's upgrade runs it that way and would wait a minute for a program that does not end.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

int main(int count, char **words)
{
	sigset_t wanted;
	int number;

	for (int i = 1; i < count; i++)
		if (strcmp(words[i], "-v") == 0)
			return printf("pause %s\n", VERSION) < 0;
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGCHLD);
	sigprocmask(SIG_BLOCK, &wanted, NULL);
	while (sigwait(&wanted, &number) == 0 && number == SIGCHLD)
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	return 0;
}
