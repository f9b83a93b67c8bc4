/* cubin.c: a cubin is an ELF file, and so is what tests put in its place: .symtab says where a symbol lies. */
#include "runtime/device/cubin.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

static bool inside(uint64_t offset, uint64_t size, uint64_t whole) {
    return offset <= whole && size <= whole - offset;
}

static const Elf64_Shdr *section_at(const unsigned char *file, size_t size, unsigned index) {
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)file;
    if (index >= header->e_shnum || header->e_shentsize != sizeof(Elf64_Shdr) || header->e_shoff % 8 != 0 ||
        !inside(header->e_shoff, (uint64_t)header->e_shnum * sizeof(Elf64_Shdr), size))
        return NULL;
    const Elf64_Shdr *section = (const Elf64_Shdr *)(file + header->e_shoff) + index;
    return section->sh_type == SHT_NOBITS || inside(section->sh_offset, section->sh_size, size) ? section : NULL;
}

/* The bytes of a symbol, to the end of its section. Values count from the section's beginning in a cubin, and from its
 * address in what is linked. */
static const unsigned char *symbol_bytes(const unsigned char *file, size_t size, const Elf64_Sym *symbol,
                                         size_t *available) {
    const Elf64_Shdr *section = section_at(file, size, symbol->st_shndx);
    if (!section || section->sh_type == SHT_NOBITS || symbol->st_value < section->sh_addr ||
        symbol->st_value - section->sh_addr > section->sh_size)
        return NULL;
    uint64_t at = symbol->st_value - section->sh_addr;
    *available = section->sh_size - at;
    return file + section->sh_offset + at;
}

static const unsigned char *find_in_table(const unsigned char *file, size_t size, const Elf64_Shdr *table,
                                          const char *name, size_t *available) {
    const Elf64_Shdr *strings = section_at(file, size, table->sh_link);
    if (!strings || table->sh_offset % 8 != 0)
        return NULL;
    const Elf64_Sym *symbols = (const Elf64_Sym *)(file + table->sh_offset);
    size_t length = strlen(name) + 1;
    for (uint64_t i = 0; i < table->sh_size / sizeof(Elf64_Sym); i++) {
        if (inside(symbols[i].st_name, length, strings->sh_size) &&
            memcmp(file + strings->sh_offset + symbols[i].st_name, name, length) == 0)
            return symbol_bytes(file, size, &symbols[i], available);
    }
    return NULL;
}

const unsigned char *cubin_find(const void *cubin, size_t size, const char *name, size_t *available) {
    const unsigned char *bytes = cubin;
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)bytes;
    if (size < sizeof *header || memcmp(bytes, ELFMAG, SELFMAG) != 0 || bytes[EI_CLASS] != ELFCLASS64)
        return NULL;
    for (unsigned i = 0; i < header->e_shnum; i++) {
        const Elf64_Shdr *table = section_at(bytes, size, i);
        const unsigned char *found =
            table && table->sh_type == SHT_SYMTAB ? find_in_table(bytes, size, table, name, available) : NULL;
        if (found)
            return found;
    }
    return NULL;
}

/* ---- kernels ---- */

/* Records of the section .nv.info: format, attribute, size; those of format 4 hold a symbol's number and a value. */
enum { INFO_SIZED = 4, INFO_STACK = 0x11, INFO_REGISTERS = 0x2f };

static const Elf64_Shdr *find_section(const unsigned char *file, size_t size, const char *name) {
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)file;
    const Elf64_Shdr *names = section_at(file, size, header->e_shstrndx);
    size_t length = strlen(name) + 1;
    for (unsigned i = 0; names && i < header->e_shnum; i++) {
        const Elf64_Shdr *section = section_at(file, size, i);
        if (section && inside(section->sh_name, length, names->sh_size) &&
            memcmp(file + names->sh_offset + section->sh_name, name, length) == 0)
            return section;
    }
    return NULL;
}

static int symbol_number(const unsigned char *file, size_t size, const Elf64_Shdr *table, const char *name) {
    const Elf64_Shdr *strings = table ? section_at(file, size, table->sh_link) : NULL;
    size_t length = strlen(name) + 1;
    for (uint64_t i = 0; strings && i < table->sh_size / sizeof(Elf64_Sym); i++) {
        const Elf64_Sym *symbol = (const Elf64_Sym *)(file + table->sh_offset) + i;
        if (inside(symbol->st_name, length, strings->sh_size) &&
            memcmp(file + strings->sh_offset + symbol->st_name, name, length) == 0)
            return (int)i;
    }
    return -1;
}

static void read_info(const unsigned char *info, size_t size, uint32_t symbol, CubinKernel *kernel) {
    for (size_t at = 0; at + 4 <= size;) {
        uint16_t length;
        uint32_t record[2];
        memcpy(&length, info + at + 2, sizeof length);
        if (info[at] != INFO_SIZED) {
            at += 4;
            continue;
        }
        if (length >= sizeof record && at + 4 + sizeof record <= size) {
            memcpy(record, info + at + 4, sizeof record);
            if (record[0] == symbol && info[at + 1] == INFO_REGISTERS)
                kernel->registers = (int)record[1];
            if (record[0] == symbol && info[at + 1] == INFO_STACK)
                kernel->stack_bytes = (int)record[1];
        }
        at += 4 + (size_t)length;
    }
}

bool cubin_kernel(const void *cubin, size_t size, const char *name, CubinKernel *kernel) {
    const unsigned char *file = cubin;
    char section_name[256];
    *kernel = (CubinKernel){0};
    if (size < sizeof(Elf64_Ehdr) || memcmp(file, ELFMAG, SELFMAG) != 0)
        return false;
    const Elf64_Shdr *info = find_section(file, size, ".nv.info");
    int symbol = symbol_number(file, size, find_section(file, size, ".symtab"), name);
    if (!info || symbol < 0)
        return false;
    read_info(file + info->sh_offset, info->sh_size, (uint32_t)symbol, kernel);
    snprintf(section_name, sizeof section_name, ".nv.shared.%s", name);
    const Elf64_Shdr *shared = find_section(file, size, section_name);
    kernel->shared_bytes = shared ? (int)shared->sh_size : 0;
    return true;
}

/* ---- filling in ---- */

static bool fill(void *cubin, size_t size, const char *symbol, const void *bytes, size_t count) {
    size_t available = 0;
    const unsigned char *at = cubin_find(cubin, size, symbol, &available);
    if (!at || available < count)
        return false;
    memcpy((unsigned char *)cubin + (at - (const unsigned char *)cubin), bytes, count);
    return true;
}

bool cubin_fill_plan(Arena *arena, const Plan *plan, void *cubin, size_t size) {
    size_t count;
    const unsigned char *bytes = plan_bytes(arena, plan, &count);
    return fill(cubin, size, "nd_plan", bytes, count);
}

enum { WEIGHTS_HEADER = 16 };

size_t cubin_weights_room(size_t weights_size) {
    return WEIGHTS_HEADER + weights_size;
}

bool cubin_fill_weights(const void *weights, size_t weights_size, void *cubin, size_t size) {
    unsigned char header[WEIGHTS_HEADER] = "ndwght\0\1";
    size_t available = 0;
    for (int i = 0; i < 8; i++)
        header[8 + i] = (unsigned char)((uint64_t)weights_size >> (8 * i));
    const unsigned char *at = cubin_find(cubin, size, "nd_weights", &available);
    if (!at || available < cubin_weights_room(weights_size) || !fill(cubin, size, "nd_weights", header, sizeof header))
        return false;
    memcpy((unsigned char *)cubin + (at - (const unsigned char *)cubin) + WEIGHTS_HEADER, weights, weights_size);
    return true;
}
