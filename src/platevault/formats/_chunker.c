/* The rolling hash that finds chunk boundaries in a stream (buzhash), for chunker.py.
 *
 * Source: spec formats §9.2. The hash covers the last 64 bytes: h = rotl(h, 1) ^ T[leaving] ^ T[entering]. Since rotating by 64 is
 * rotating by 0 in 32 bits, it depends on nothing before these 64, so the bytes of a chunk that end before the first place where a
 * cut is allowed are passed over without being read.
 *
 * Built against the limited API of Python 3.11. No state outside the object, so any number of interpreters may load it.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#define WINDOW 64
#define TABLE_BYTES (256 * 4)

/* A shorter scan (about 15 us) is not worth handing the interpreter lock over: taking it back can cost milliseconds. */
#define UNLOCK_BYTES (16 * 1024)

typedef struct {
    uint64_t count; /* bytes of the current chunk seen so far; always below maximum between two calls */
    uint32_t hash;
    uint8_t window[WINDOW]; /* byte number n of the chunk is at n % 64; holds the last 64 bytes once they matter */
} State;

typedef struct {
    PyObject_HEAD
    uint32_t table[256];
    uint64_t minimum, maximum; /* WINDOW < minimum <= maximum */
    uint32_t mask, threshold;
    State state;
} Scanner;

static inline uint32_t
rotate(uint32_t value)
{
    return value << 1 | value >> 31;
}

static inline size_t
smaller(uint64_t left, uint64_t right)
{
    return (size_t)(left < right ? left : right);
}

/* Bytes of `data` up to and with the last of the chunk, or 0 when the chunk goes on. Touches nothing of the interpreter. */
static size_t
scan(const Scanner *self, State *state, const uint8_t *data, size_t length)
{
    const uint32_t *table = self->table;
    const uint32_t mask = self->mask, threshold = self->threshold;
    const uint64_t first_hashed = self->minimum - WINDOW;
    uint64_t count = state->count;
    uint32_t hash = state->hash;
    size_t at = 0, end, direct;

    if (count < first_hashed) {
        at = smaller(first_hashed - count, length);
        count += at;
    }
    for (; at < length && count < self->minimum; at++, count++) {
        state->window[count % WINDOW] = data[at];
        hash = rotate(hash) ^ table[data[at]];
        if (count + 1 == self->minimum && ((hash & mask) >= threshold || count + 1 == self->maximum)) {
            return at + 1;
        }
    }
    end = at + smaller(self->maximum - count, length - at);

    /* As long as the leaving byte came with an earlier buffer it is taken from the window ... */
    direct = smaller(WINDOW, end);
    for (; at < direct; at++, count++) {
        const uint8_t leaving = state->window[count % WINDOW];
        state->window[count % WINDOW] = data[at];
        hash = rotate(hash) ^ table[leaving] ^ table[data[at]];
        if ((hash & mask) >= threshold) {
            return at + 1;
        }
    }
    /* ... and then from this buffer. */
    if (at < end) {
        count += end - at;
        for (; at < end; at++) {
            hash = rotate(hash) ^ table[data[at - WINDOW]] ^ table[data[at]];
            if ((hash & mask) >= threshold) {
                return at + 1;
            }
        }
        for (size_t back = 1; back <= WINDOW; back++) {
            state->window[(count - back) % WINDOW] = data[end - back];
        }
    }
    if (count == self->maximum) {
        return end;
    }
    state->count = count;
    state->hash = hash;
    return 0;
}

static PyObject *
scanner_scan(PyObject *object, PyObject *argument)
{
    Scanner *self = (Scanner *)object;
    Py_buffer buffer;
    State state;
    size_t cut;

    if (PyObject_GetBuffer(argument, &buffer, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    /* A copy, so that two threads that share an object by mistake get wrong cuts and not a wrong address. */
    state = self->state;
    if (buffer.len >= UNLOCK_BYTES) {
        Py_BEGIN_ALLOW_THREADS
        cut = scan(self, &state, buffer.buf, (size_t)buffer.len);
        Py_END_ALLOW_THREADS
    } else {
        cut = scan(self, &state, buffer.buf, (size_t)buffer.len);
    }
    PyBuffer_Release(&buffer);
    if (cut) {
        memset(&self->state, 0, sizeof(State));
    } else {
        self->state = state;
    }
    return PyLong_FromSize_t(cut);
}

static PyObject *
scanner_reset(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    memset(&((Scanner *)object)->state, 0, sizeof(State));
    Py_RETURN_NONE;
}

static PyObject *
scanner_new(PyTypeObject *type, PyObject *positional, PyObject *named)
{
    static char *names[] = {"table", "minimum", "maximum", "mask", NULL};
    Py_buffer table;
    unsigned int minimum, maximum, mask;
    Scanner *self = NULL;

    if (!PyArg_ParseTupleAndKeywords(positional, named, "y*III:Scanner", names, &table, &minimum, &maximum, &mask)) {
        return NULL;
    }
    if (table.len != TABLE_BYTES || minimum <= WINDOW || maximum < minimum || mask < 3) {
        PyErr_SetString(PyExc_ValueError, "needs a table of 1024 bytes, 64 < minimum <= maximum, mask >= 3");
    } else if ((self = (Scanner *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0)) != NULL) {
        const uint8_t *byte = table.buf;
        for (int i = 0; i < 256; i++, byte += 4) {
            self->table[i] = (uint32_t)byte[0] << 24 | (uint32_t)byte[1] << 16 | (uint32_t)byte[2] << 8 | byte[3];
        }
        self->minimum = minimum;
        self->maximum = maximum;
        self->mask = mask;
        self->threshold = mask - 2;
    }
    PyBuffer_Release(&table);
    return (PyObject *)self;
}

static void
scanner_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyMethodDef scanner_methods[] = {
    {"scan", scanner_scan, METH_O, "scan($self, buffer, /)\n--\n\nLength of the rest of the chunk in `buffer`, or 0 when it goes on."},
    {"reset", scanner_reset, METH_NOARGS, "reset($self, /)\n--\n\nThe next byte is the first of a chunk."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot scanner_slots[] = {
    {Py_tp_doc, "Finds the end of the current chunk in the bytes of a stream. For one thread at a time."},
    {Py_tp_new, scanner_new},
    {Py_tp_dealloc, scanner_dealloc},
    {Py_tp_methods, scanner_methods},
    {0, NULL},
};

static PyType_Spec scanner_spec = {
    .name = "platevault.formats._chunker.Scanner",
    .basicsize = sizeof(Scanner),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = scanner_slots,
};

static int
module_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &scanner_spec, NULL);
    int failed = type == NULL || PyModule_AddType(module, (PyTypeObject *)type) < 0;
    Py_XDECREF(type);
    return failed ? -1 : 0;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_chunker",
    .m_doc = "The content-defined chunker in C.",
    .m_slots = module_slots,
};

PyMODINIT_FUNC
PyInit__chunker(void)
{
    return PyModuleDef_Init(&module_definition);
}
