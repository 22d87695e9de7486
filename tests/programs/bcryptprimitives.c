/* The one function of Windows' bcryptprimitives.dll that Rust's programs need, for a Wine (before
 * 9.0) that has no such library. Tests only: no secret is made with it. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length)
{
    return SystemFunction036(buffer, (ULONG)length);
}
