"""Known failures of what films need: OpenGL, JAX, ffmpeg and their installation."""

import re
from dataclasses import dataclass

APT_PACKAGES = ("libegl1", "libgl1", "libgl1-mesa-dri")
"""Packages that MuJoCo needs on Debian and Ubuntu to draw by EGL: the dispatch library (which
depends on Mesa's libEGL_mesa), an OpenGL library, and Mesa's drivers, including software."""

INSTALL_MESA = f"apt install {' '.join(APT_PACKAGES)}"
SOFTWARE_RENDERERS = ("llvmpipe", "softpipe", "swrast", "software rasterizer")

_CONDA_LIBSTDCXX = (
    "conda install -c conda-forge 'libstdcxx-ng>=12', or use a plain virtual environment"
)
_FIT_GPU = (
    "close what else uses the GPU (nvidia-smi lists it), pass smaller --samples or fewer --seeds, "
    "or set JAX_PLATFORMS=cpu"
)
_MATCH_JAX = "pip install --upgrade glassviz, or pip install --upgrade 'jax[cuda12]' with a GPU"


@dataclass(frozen=True)
class Failure:
    """A known kind of failure.

    Attributes:
        pattern: regular expression that matches the failed program's output.
        cause: why it fails, as a clause.
        fix: what to do, as an imperative clause.
        backend: backend that the output must come from; None for any.
    """

    name: str
    pattern: str
    cause: str
    fix: str
    backend: str | None = None


def diagnose(message: str, backend: str | None = None) -> Failure | None:
    """Find the known failure that matches a message; None for an unknown message.

    The message is the output of a failed program, such as a traceback; `backend` is the backend
    that failed, None if unknown.
    """
    fitting = (each for each in FAILURES if each.backend in (None, backend))
    return next((each for each in fitting if re.search(each.pattern, message)), None)


def is_software(renderer: str) -> bool:
    """Whether a GL_RENDERER string names one of Mesa's software rasterizers.

    >>> is_software("llvmpipe (LLVM 15.0.7, 256 bits)")
    True
    """
    return any(name in renderer.lower() for name in SOFTWARE_RENDERERS)


def diagnose_renderer(renderer: str, has_gpu: bool) -> Failure | None:
    """Find the failure without a message: software rendering despite a GPU."""
    return SOFTWARE_ON_GPU if has_gpu and is_software(renderer) else None


FAILURES = (
    # OpenGL: variables ---------------------------------------------------------------------------
    Failure(
        "device-id",
        r"MUJOCO_EGL_DEVICE_ID environment variable must be"
        r"|(?s:(EGL_DEVICE_ID|mujoco/egl).{0,2000}invalid literal for int)",
        "MUJOCO_EGL_DEVICE_ID names an EGL device that does not exist",
        "unset MUJOCO_EGL_DEVICE_ID or try 0",
    ),
    Failure(
        "platform-conflict",
        r"Cannot use (EGL|OSMesa) rendering platform"
        r"|'(GLX|OSMesa|EGL|Windows|Darwin)Platform' object has no attribute"
        r"|module 'mujoco' has no attribute 'Renderer'"
        r"|Unsupported PyOpenGL platform|PYOPENGL_PLATFORM environment variable is set",
        "PyOpenGL was loaded for another platform than the one that draws: PYOPENGL_PLATFORM "
        "differs from MUJOCO_GL, or OpenGL was imported before MuJoCo with MUJOCO_GL unset",
        "unset PYOPENGL_PLATFORM, and set MUJOCO_GL=egl before anything imports OpenGL or MuJoCo",
    ),
    Failure(
        "bad-name",
        r"invalid value for environment variable MUJOCO_GL"
        r"|Environment variable MUJOCO_GL must be one of",
        "MUJOCO_GL is not a known backend",
        "set MUJOCO_GL to egl, osmesa or glfw, or unset it",
    ),
    # OpenGL: drivers -----------------------------------------------------------------------------
    Failure(
        "old-libstdc++",
        r"(?s)(failed to open \w+.*GLIBCXX|(GLIBCXX|CXXABI)_[\d.]+'? not found)",
        "Mesa's driver (with its libLLVM) needs a newer libstdc++ than the one that a conda "
        "environment loaded first",
        _CONDA_LIBSTDCXX,
    ),
    Failure(
        "old-libffi",
        r"libffi\S*: (undefined symbol|version)|undefined symbol: ffi_type_\w+",
        "a conda environment's libffi hides the one that Mesa's driver needs",
        "conda install -c conda-forge libffi==3.4, or use a plain virtual environment",
    ),
    Failure(
        "old-glibc",
        r"GLIBC_[\d.]+'? not found",
        "a library was built for a newer Linux than this one",
        "use a newer distribution or container, or install the library from this one's packages",
    ),
    Failure(
        "render-node",
        r"/dev/dri/\S*: Permission denied|Permission denied:? '?/dev/dri/"
        r"|(?s:/dev/dri.*Permission denied)",
        "the user is in no group that may open the graphics device",
        "sudo usermod -aG render,video $USER and log in again, or choose software rendering "
        "explicitly with LIBGL_ALWAYS_SOFTWARE=1; in a container pass --device /dev/dri and "
        "--group-add of that group",
    ),
    Failure(
        "static-tls",
        r"cannot allocate memory in static TLS block",
        "a library was loaded too late for its thread-local memory, which is reserved at start",
        "load it first: set LD_PRELOAD to the library that the message names",
    ),
    Failure(
        "no-swrast",
        r"failed to open (swrast|zink|kms_swrast|dri)\b|failed to load driver: (swrast|zink|kms)"
        r"|(swrast|zink)_dri\.so: cannot open shared object",
        "Mesa's software driver is missing, or a conda environment looks for it elsewhere",
        f"{INSTALL_MESA}; in a conda environment also set "
        "LIBGL_DRIVERS_PATH=/usr/lib/x86_64-linux-gnu/dri",
    ),
    Failure(
        "other-thread",
        r"EGL_BAD_ACCESS",
        "the OpenGL context is current on another thread",
        "create the renderer in the thread (or process) that uses it",
    ),
    Failure(
        "no-egl-device",
        r"(?i)Cannot initialize an? (headless )?EGL (device )?display|PLATFORM_DEVICE extension"
        r"|eglInitialize|EGL_NOT_INITIALIZED|EGL_BAD_DISPLAY|failed to create dri2 screen"
        r"|eglQueryDevicesEXT|no EGL devices? found",
        "EGL finds no usable device: the driver lacks EGL, the user may not open the device, or "
        "MUJOCO_EGL_DEVICE_ID names the wrong one",
        f"{INSTALL_MESA} (or the GPU driver's EGL library), unset MUJOCO_EGL_DEVICE_ID or try 0, "
        "and in a container pass NVIDIA_DRIVER_CAPABILITIES=all",
    ),
    Failure(
        "no-libegl",
        r"'NoneType' object has no attribute 'egl\w+'|libEGL\.so\S*: cannot open shared object"
        r"|Unable to load EGL library",
        "libEGL.so.1 is missing",
        INSTALL_MESA,
    ),
    Failure(
        "no-opencv-libgl",
        r"(?s)(import cv2|cv2/__init__).*libGL\.so\.1: cannot open shared object",
        "OpenCV was installed with its windows, which need libGL.so.1",
        "pip uninstall opencv-python and pip install --force-reinstall opencv-python-headless, or "
        "apt install libgl1",
    ),
    Failure(
        "no-libgl",
        r"lib(GL|OpenGL|GLX|GLdispatch)\.so\S*: cannot open shared object"
        r"|Unable to load OpenGL library",
        "an OpenGL library (libGL.so.1 or libOpenGL.so.0) is missing",
        "apt install libgl1 libopengl0",
    ),
    Failure(
        "no-libgl-under-egl",
        r"'NoneType' object has no attribute 'gl\w+'",
        "EGL is installed, but an OpenGL library (libGL.so.1 or libOpenGL.so.0) is missing",
        "apt install libgl1",
        backend="egl",
    ),
    Failure(
        "no-libosmesa",
        r"'NoneType' object has no attribute '(gl|OSMesa)\w+'|(lib)?OSMesa\S*( library)?:? (cannot "
        r"open|could not be|not found|No such file)|Unable to load OSMesa|OSMesaCreateContext",
        "OSMesa was requested, but libOSMesa is missing",
        "apt install libosmesa6 (if the distribution still has it), or set MUJOCO_GL=egl",
    ),
    Failure(
        "no-patchelf",
        r"No such file or directory: '?patchelf|GL/osmesa\.h: No such file",
        "the old package mujoco_py compiles itself, which needs OSMesa's headers and patchelf",
        "use the package mujoco, which is compiled already; mujoco_py is not needed",
    ),
    Failure(
        "no-display",
        r"an OpenGL platform library has not been loaded into this process"
        r"|DISPLAY environment variable is missing|(?i:cannot|could not|failed to|unable to) "
        r"(?i:open|connect to|get) (?i:the )?(?i:x11 )?(?i:display)"
        r"|GLFW library is not initialized|glfw(\.|::)?(error|Error)?.*(65537|65544)"
        r"|could not connect to display|Failed to open display|no display name and no \$DISPLAY",
        "MUJOCO_GL is unset (or glfw) on a machine without a display",
        "set MUJOCO_GL=egl before MuJoCo is imported",
    ),
    Failure(
        "glx",
        r"GLX: Failed to|BadValue \(integer parameter out of range|GLXBadFBConfig"
        r"|(65543|65542).*(GLX|OpenGL|WGL)|X_GLXCreate\w+",
        "the display (a forwarded X11 connection, WSL or a virtual one) offers no OpenGL that "
        "MuJoCo can use",
        "set MUJOCO_GL=egl, which needs no display",
    ),
    Failure(
        "no-nvidia-egl",
        r"libEGL_nvidia|10_nvidia\.json|libnvidia-\w+\.so\S*: cannot open",
        "the NVIDIA driver's graphics libraries are missing: the driver was installed for "
        "computing only, or the container has no graphics capability",
        "install the driver's libraries (Debian and Ubuntu: libnvidia-gl of the driver's version), "
        "and run the container with NVIDIA_DRIVER_CAPABILITIES=all",
    ),
    Failure(
        "wsl",
        r"(?i)\bd3d12\b.*(fail|error|cannot)|libdxcore\.so|/dev/dxg",
        "WSL's graphics driver does not start",
        "run wsl --update in Windows and update its GPU driver, or set LIBGL_ALWAYS_SOFTWARE=1",
    ),
    # OpenGL: contexts ----------------------------------------------------------------------------
    Failure(
        "default-framebuffer",
        r"Default framebuffer is not complete|framebuffer is not complete, error 0x(0|8219)\b",
        "no OpenGL context is current in this thread, or its window was closed",
        "create the renderer in the thread that draws, after MUJOCO_GL was set (egl or osmesa), "
        "and do not use it after close()",
    ),
    Failure(
        "offscreen-framebuffer",
        r"Offscreen framebuffer is not complete|framebuffer is not complete, error 0x8c",
        "the driver cannot make a buffer of this size or with this many samples per pixel: the "
        "picture is too large for it, or the GPU's memory is full",
        "make the picture smaller, set model.vis.quality.offsamples=0 (glassviz: --quality fast), "
        "or free memory on the GPU",
    ),
    Failure(
        "no-context",
        r"gladLoadGL error|no (OpenGL|valid) context|GL_INVALID_OPERATION.*glGetString",
        "no OpenGL context is current, or another backend was loaded first",
        "set MUJOCO_GL (egl or osmesa) before MuJoCo is imported",
    ),
    Failure(
        "egl-memory",
        r"EGL_BAD_ALLOC|GL_OUT_OF_MEMORY",
        "the GPU has no memory left for a picture: JAX or another program reserved it",
        "set XLA_PYTHON_CLIENT_PREALLOCATE=false, close renderers that are not needed, and free "
        "the GPU's memory",
    ),
    Failure(
        "egl-config",
        r"EGL_BAD_CONFIG|EGL_BAD_MATCH|EGL_BAD_ATTRIBUTE|eglChooseConfig|eglCreateContext",
        "the driver has EGL, but not with the OpenGL and the buffers that MuJoCo asks for",
        "update the GPU's driver, or choose software rendering with LIBGL_ALWAYS_SOFTWARE=1 or "
        "MUJOCO_GL=osmesa",
    ),
    Failure(
        "framebuffer",
        r"Image (width|height) (\S+ )?> framebuffer (width|height)",
        "the picture is larger than MuJoCo's offscreen buffer, 640x480 by default",
        "raise model.vis.global_.offwidth and offheight",
    ),
    Failure(
        "teardown",
        r"(GLContext|Renderer)\.__del__",
        "the OpenGL context was freed too late, at the end of the program; the pictures are fine",
        "close the renderer explicitly: use it in a with statement or call close()",
    ),
    Failure(
        "mujoco-version",
        r"XML version|(?i:mujoco.*(library|header)).*version|version mismatch.*mujoco",
        "the installed parts of MuJoCo, dm_control and MJX do not belong together",
        "pip install --upgrade mujoco dm_control, in one command",
    ),
    # JAX -----------------------------------------------------------------------------------------
    Failure(
        "gpu-too-new",
        r"no kernel image is available|CUDA_ERROR_NO_BINARY_FOR_GPU|ptxas.*(unsupported|too old)"
        r"|CUDA_ERROR_UNSUPPORTED_PTX_VERSION|unsupported toolchain",
        "this build of JAX has no programs for this model of GPU or its driver",
        "update the NVIDIA driver and pip install --upgrade 'jax[cuda12]', or set "
        "JAX_PLATFORMS=cpu",
    ),
    Failure(
        "gpu-memory",
        r"CUDA_ERROR_OUT_OF_MEMORY|RESOURCE_EXHAUSTED|(?i:cuda.{0,20}out of memory)"
        r"|CUBLAS_STATUS_(ALLOC_FAILED|NOT_INITIALIZED)|CUDNN_STATUS_(ALLOC_FAILED)",
        "the GPU's memory is full: by default JAX reserves three quarters of it, and other "
        "programs, OpenGL among them, need some",
        f"set XLA_PYTHON_CLIENT_PREALLOCATE=false; {_FIT_GPU}",
    ),
    Failure(
        "gpu-driver",
        r"CUDA_ERROR_(SYSTEM_DRIVER_MISMATCH|INVALID_DEVICE|UNKNOWN|NOT_INITIALIZED)"
        r"|(?i:driver)/library version mismatch|CUDA driver version is insufficient"
        r"|INSUFFICIENT_DRIVER|NVRM: API mismatch",
        "the NVIDIA driver in the kernel, its libraries and CUDA do not belong together: often "
        "the driver was updated without a restart",
        "restart the machine (or the container), and update the driver if it stays",
    ),
    Failure(
        "no-gpu",
        r"CUDA_ERROR_NO_DEVICE|no CUDA-capable device|NVIDIA-SMI has failed"
        r"|could not select device driver|libcuda\.so\S*: cannot open shared object",
        "no NVIDIA GPU is visible: there is none, its driver is missing, the container was "
        "started without it, or CUDA_VISIBLE_DEVICES hides it",
        "start the container with --gpus all, check nvidia-smi and CUDA_VISIBLE_DEVICES, or set "
        "JAX_PLATFORMS=cpu",
    ),
    Failure(
        "cudnn",
        r"(?i)cudnn.*(version|mismatch|not found|compiled|incompatible)"
        r"|CUDNN_STATUS_(NOT_INITIALIZED|VERSION_MISMATCH|SUBLIBRARY\w*)"
        r"|DNN library initialization failed|Loaded runtime CuDNN library",
        "JAX loads another cuDNN than it was built with, often through LD_LIBRARY_PATH or beside "
        "PyTorch",
        "unset LD_LIBRARY_PATH and pip install --upgrade 'jax[cuda12]', which brings its own cuDNN",
    ),
    Failure(
        "cuda-libraries",
        r"lib(cublas|cudart|cusolver|cusparse|cufft|cupti|nvrtc|nvJitLink|nccl)\S*: (cannot open|"
        r"undefined)|undefined symbol: (__nvJitLink|cublas|cudnn|nccl)\w*"
        r"|Unable to load (cuSPARSE|cuSOLVER|cuBLAS|cuFFT|cuDNN|CUPTI)",
        "a CUDA library is missing, or LD_LIBRARY_PATH leads to another version",
        "unset LD_LIBRARY_PATH and pip install --upgrade 'jax[cuda12]', which brings its own",
    ),
    Failure(
        "jax-platform",
        r"Unable to initialize backend|Unknown backend|JAX_PLATFORMS"
        r"|Backend '\w+' (failed to initialize|is not in the list)|no supported devices found",
        "JAX was asked for a kind of device (JAX_PLATFORMS) that it does not find, or has no "
        "support for",
        "unset JAX_PLATFORMS or set it to cpu; for an NVIDIA GPU: pip install 'glassviz[cuda]'",
    ),
    Failure(
        "xla-flags",
        r"Unknown flags? in XLA_FLAGS|Unknown command line flag.*xla",
        "XLA_FLAGS has a flag that this version of XLA does not know; XLA ends the program",
        "remove the flag from XLA_FLAGS, or unset XLA_FLAGS",
    ),
    Failure(
        "jaxlib-version",
        r"(?i)jaxlib.{0,40}version.{0,60}(newer|older|incompatible|required|minimum|mismatch)"
        r"|PJRT (plugin|API|C API).*version|module 'jaxlib' has no attribute"
        r"|jax_(cuda\d+_)?plugin version|cannot import name '\w+' from 'jax"
        r"|module 'jax(\.\w+)*' has no attribute",
        "jax, jaxlib and their plugins are of versions that do not belong together",
        f"upgrade them together: {_MATCH_JAX}",
    ),
    Failure(
        "avx",
        r"(?i)(jaxlib|jax|this version).*AVX|illegal instruction",
        "the package was built for processor instructions (AVX) that this machine, or its "
        "emulation, does not have",
        "use another machine, or an environment of the machine's own architecture (on Apple "
        "silicon, not an x86 Python)",
    ),
    Failure(
        "truth-value",
        r"invalid truth value .* for environment",
        "a variable that the message names has to be true or false",
        "set it to true or false, or unset it",
    ),
    # ffmpeg, disks and Python packages -----------------------------------------------------------
    Failure(
        "no-libx264",
        r"Unknown encoder|Unrecognized option '(preset|crf|x264-params)'"
        r"|Encoder not found|Error selecting an encoder",
        "this ffmpeg was built without the encoder, often the one of a conda environment",
        "unset IMAGEIO_FFMPEG_EXE and pip install --force-reinstall imageio-ffmpeg, or conda "
        "install -c conda-forge 'ffmpeg=*=gpl*'",
    ),
    Failure(
        "no-ffmpeg",
        r"No ffmpeg exe could be found|(?i:No such file or directory: '?\S*ffmpeg)"
        r"|ffmpeg: (command )?not found|IMAGEIO_FFMPEG_EXE|requested MovieWriter \(ffmpeg\)",
        "there is no ffmpeg, or IMAGEIO_FFMPEG_EXE names none",
        "pip install imageio-ffmpeg, which brings one, and unset IMAGEIO_FFMPEG_EXE",
    ),
    Failure(
        "odd-size",
        r"(width|height) not divisible by 2",
        "H.264 with usual colours needs an even width and height",
        "choose an even width and height",
    ),
    Failure(
        "disk-full",
        r"No space left on device|Errno 28\b|Disk quota exceeded",
        "the disk, its quota, or /tmp is full",
        "free some space, write to another disk with --out, or set TMPDIR; in a container raise "
        "--shm-size if the message names /dev/shm",
    ),
    Failure(
        "read-only",
        r"Read-only file system|Errno 30\b",
        "the folder is on a file system that cannot be written",
        "write to another folder with --out; for caches set XDG_CACHE_HOME, for others HOME",
    ),
    Failure(
        "broken-pipe",
        r"(?i)Broken ?Pipe|Errno 32\b|EPIPE",
        "the program at the other end of a pipe ended first: ffmpeg failed (its own message comes "
        "before), or the reader of the output stopped reading",
        "look at the lines before for ffmpeg's message, such as an unknown encoder or a full disk",
    ),
    Failure(
        "numpy-abi",
        r"(numpy\.)?(dtype|ufunc|ndarray) size changed|compiled using NumPy 1\.x"
        r"|numpy\.core\.multiarray failed to import|_ARRAY_API not found"
        r"|module compiled against A(B|P)I version",
        "a package was built for another version of NumPy than the one installed",
        "pip install --upgrade numpy and pip install --upgrade --force-reinstall the package that "
        "the message names, in a fresh virtual environment if it stays",
    ),
    Failure(
        "numba-cache",
        r"no locator available for file|cannot cache function",
        "Numba finds no folder in which it can keep compiled programs",
        "set NUMBA_CACHE_DIR to a folder that can be written",
    ),
    Failure(
        "killed",
        r"oom-kill|Out of memory: Killed|exit code 137|(?m:^Killed$)|std::bad_alloc|MemoryError",
        "the machine's memory, or the container's share of it, is full",
        "pass fewer --jobs or --episodes, or give the container more memory",
    ),
)
"""Known failures, specific ones first: the first match counts."""

SOFTWARE_ON_GPU = Failure(
    "software-on-gpu",
    "|".join(SOFTWARE_RENDERERS),
    "this machine has an NVIDIA GPU, but OpenGL renders in software: the driver's EGL file "
    "(10_nvidia.json) or the container's graphics capability is missing",
    "run the container with NVIDIA_DRIVER_CAPABILITIES=all, or point "
    "__EGL_VENDOR_LIBRARY_FILENAMES at the driver's 10_nvidia.json",
)
"""A failure without a message: everything works, only much slower."""
