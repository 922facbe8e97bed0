/* A program that embeds Python and forks by itself, without telling Python, as uWSGI does. */
#include <Python.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    int status = 0;
    Py_Initialize();
    if (PyRun_SimpleString("import hostpkg"))
        return 1;
    for (int i = 0; i < 20 && !status; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(20); /* which ends a child that waits for a lock for ever */
            int failed = PyRun_SimpleString("import hostpkg; hostpkg.check()");
            _exit(failed ? 1 : 0);
        }
        waitpid(child, &status, 0);
    }
    return Py_FinalizeEx() || status;
}
