/* A program that embeds Python and forks by itself, without telling Python, as uWSGI does.
 *
 * With `name` it gives Python its own name, and with `arguments` its arguments, too.
 */
#include <Python.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void start(int argc, char **argv)
{
    PyConfig config;
    if (argc == 1) {
        Py_Initialize();
        return;
    }
    PyConfig_InitPythonConfig(&config);
    config.parse_argv = 0;
    PyConfig_SetBytesString(&config, &config.program_name, argv[0]);
    if (!strcmp(argv[1], "arguments"))
        PyConfig_SetBytesArgv(&config, argc, argv);
    if (PyStatus_Exception(Py_InitializeFromConfig(&config)))
        _exit(2);
}

int main(int argc, char **argv)
{
    int status = 0;
    start(argc, argv);
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
