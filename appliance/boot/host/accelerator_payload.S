// The boot sector of the KVM trial (accelerator_trial.h): what a real guest does in its first instant,
// and then work that takes a CPU 50 ms and an instruction emulator minutes. It ends QEMU by writing 0x21
// to the debug-exit device at port 0xf4, so that QEMU's exit status is 0x21 * 2 + 1 = 67.
// It is data to this program: assembled for address 0x7c00, without relocations.
#define AT(label) (0x7c00 + label - sector)

  .section .rodata
  .globl muletto_trial_sector
muletto_trial_sector:
sector:
  .code16
  cli
  xorw %ax, %ax
  movw %ax, %ds
  movw %ax, %es
  movw %ax, %ss
  movw $0x7c00, %sp
  sti
  movw 0x46c, %cx          // the BIOS counts timer interrupts here, 18 a second
  addw $2, %cx
wait_for_ticks:
  hlt
  cmpw 0x46c, %cx
  jne wait_for_ticks
  cli
  movb $0xff, %al          // no interrupts from here on: there is no table for them
  outb %al, $0x21
  outb %al, $0xa1
  cld
  movw $0x1000, %ax        // page tables at 0x10000, 0x11000, 0x12000: the first 2 MiB, one to one
  movw %ax, %es
  xorw %di, %di
  xorl %eax, %eax
  movw $0xc00, %cx
  rep stosl
  movl $0x11003, %es:0x0
  movl $0x12003, %es:0x1000
  movl $0x00083, %es:0x2000
  movl $0x10000, %eax
  movl %eax, %cr3
  movl %cr4, %eax
  orl $0x20, %eax          // PAE
  movl %eax, %cr4
  movl $0xc0000080, %ecx   // EFER
  rdmsr
  orl $0x100, %eax         // long mode
  wrmsr
  movl %cr0, %eax
  orl $0x80000001, %eax    // paging and protection
  movl %eax, %cr0
  lgdtl AT(descriptor_pointer)
  ljmpw $8, $AT(long_mode)
  .code64
long_mode:
  movl $50000000, %ecx
  xorl %eax, %eax
work:
  addq %rcx, %rax
  decl %ecx
  jnz work
  movw $0xf4, %dx
  movb $0x21, %al
  outb %al, %dx
stop:
  hlt
  jmp stop
  .balign 8
descriptors:
  .quad 0
  .quad 0x00209a0000000000 // 64-bit code
descriptor_pointer:
  .word 15
  .long AT(descriptors)
  .org muletto_trial_sector + 510
  .word 0xaa55

  .section .note.GNU-stack, "", @progbits
