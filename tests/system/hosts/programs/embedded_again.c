/* A program that ends Python and starts it again. */
#include <Python.h>

int main(void)
{
    for (int i = 0; i < 3; i++) {
        Py_Initialize();
        if (PyRun_SimpleString("import hostpkg; hostpkg.check()"))
            return 1;
        if (Py_FinalizeEx())
            return 2;
    }
    return 0;
}
