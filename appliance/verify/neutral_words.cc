#include "appliance/verify/neutral_words.h"

#include <set>
#include <string>

namespace appliance::verify {
namespace {

// One text, which is far shorter to read than a list of literals.
constexpr std::string_view kWords =
    "a about above accept accepted access account acpi activate activated activating active "
    "adapter added address addresses admin administrator af after again agent all allocated "
    "alpine already also amd an and another answer answered answers any apache api apic arch "
    "are args at attached audit auf auth authentication automatic available avec average "
    "awaiting back backup bad bank bar base bash basic been before begin being below "
    "benvenuti between bienvenido bienvenue bios bit bits bitte block blocks board bookworm "
    "boot booted booting bootloader boots both bridge bring broken btrfs buffer bug build "
    "built bullseye bus buster busy busybox but button by bytes cache call called cannot card "
    "case catalog cd centos certificate change changed changes channel character check "
    "checked checking checks choose chrony chunk class clean cleaned client clock clocksource "
    "close closed cloud cluster code comm command commands compatible complete completed "
    "component compressed con config configuration configure configured connect connected "
    "connecting connection console container context control controller copy core cores "
    "corrupt corrupted corruption could count cpu cpus crash create created creating critical "
    "cron cups current currently cycles da daemon damaged das data database date day days "
    "dbus de debconf debian debug default deferred del delay delete deleted della dependency "
    "depth der des desktop detected device devices dhcp di did die different direct directory "
    "disable disabled disabling disconnected discovered disk disks display dma do docker does "
    "done down dracut drive driver drivers drives drop du due dump during dvd each early edit "
    "edition een efi either el emergency empty en enable enabled enabling encrypted end ended "
    "ends eno enp ens enter entered entry environment er error errors est et eth ethernet "
    "event events exception exec execute existing exit exited expected expired ext extended "
    "external failed failing fails failure fatal fd features fedora file files filesystem "
    "filesystems final find finish finished firewall firmware first fix flags floppy focal "
    "for force forced format found free freebsd freed freeing from front fsck full function "
    "gateway gdm generic get getting getty gib given global gnome gnu go going good got "
    "graphical graphics group grub guest halt halted hang hangs hard hardware has hat have "
    "hda header heap help here het high highmem host hostname hour hours httpd hub hypervisor "
    "id idle if ignored ikke il image images in inactive info information init initial "
    "initialization initialize initialized initializing initramfs initrd inode input inside "
    "install installed installer installing instance interface interfaces internal interrupt "
    "invalid io ipv irq is isolated issue ist it item its jammy job jobs journal journald "
    "journaling just kbd kernel key keyboard keymap keys kib kind known kvm la label las last "
    "later layer layout le legacy length les level lib libvirt license light lightdm like "
    "limit line lines link linux list listening lists lo load loaded loader loading loads "
    "local locale lock locked log logged logging login logind logout logs long loop los lost "
    "low lvm machine machines mail main maintenance make manager manual map mapped mapper "
    "maria mariadb marked masked mass master max maximum may md med mem memory menu message "
    "messages method mib microcode microsoft min minimal mint minute minutes mirror missing "
    "mit mode model modem module modules monitor more most mount mounted mounting mounts "
    "mouse multi must mysql name named names nat need needed net network networkd networking "
    "new next nfs nginx nicht niet no noble node nodes none normal not note nothing now ntp "
    "ntpd number nvme object oder of off offline offset og ok old on once one online only op "
    "open openbsd opened openssh openssl openwrt operating operation operator option options "
    "or oracle order os other others out over own packages page pages panel panic para "
    "parameter parameters parse part partition partitions pas pass passed password path pci "
    "pending per percent performance permission persistent phase physical ping platform "
    "please plugged plymouth pointer policy polkit poll pool por port ports postgres "
    "postgresql pour power powered preparing present press previous primary print priority "
    "private problem problems process processes processor product profile program programs "
    "progress prompt protocol provider proxy ps public qemu queue quick quiet quit raid ram "
    "random range rate reach reached read reading ready real reason reboot rebooting received "
    "record recover recovered recovering recovery red redhat redirect reference refused "
    "region register registered registering reload reloaded remote remount remounted "
    "remounting remove removed repair repaired replaced replay reported reports request "
    "requests require required requires rescue reserved reset resize resolved resolver "
    "resource resources response rest restart restarted restarting restore restored result "
    "resume retry return returned right rocky rom root route router rsyslog rtc rule run "
    "running runs runtime safe samba same sas sata save saved scan scanned scanning scheduled "
    "scheduler screen script scripts scsi sda sdb sdc sddm seabios search seat second seconds "
    "section sector sectors secure security see seen select selected send sent serial server "
    "service services session set setting settings setup shared shell should show shows shut "
    "shutdown shutting signal silent since single size sleep slice slot slow small smbd smp "
    "snapd snapshot socket sockets software some source space speed sr ssh sshd stack stage "
    "standard start started starting starts startup state static status step still stop "
    "stopped stopping storage store stretch strong sub subsystem success successful "
    "successfully suite suse suspend swap switch switched switching sync synchronized syslog "
    "system systemd systems table target task tasks tcp temporary terminal test than that the "
    "then there this thread threads til time timed timeout timer times timesyncd tmp to too "
    "tools total trace trap tried trixie trouble try trying tty tune two type ubuntu udev "
    "udevadm udhcpc udp uefi unable unavailable und under une unexpected unit units universal "
    "unix unknown unless unload unlock unmount unmounted unmounting unreachable unsupported "
    "until up update updated updates updating usage usb use used user users using util "
    "utility uuid valid value van variable vbios vda vdb vdc velkommen vendor verify version "
    "vfs vga via video view virt virtio virtual virtualization volume volumes von wait waited "
    "waiting waits warning was watchdog web welcome welkom well were what wheezy when where "
    "which while wide will willkommen windows with within without work working workstation "
    "would write writing written wrong xfs year yes you your zero zone zu ";

std::set<std::string_view> split() {
  std::set<std::string_view> words;
  for (size_t i = 0; i < kWords.size();) {
    size_t end = kWords.find(' ', i);
    words.insert(kWords.substr(i, end - i));
    i = end + 1;
  }
  return words;
}

}  // namespace

bool is_neutral_word(std::string_view word) {
  static const std::set<std::string_view> words = split();
  return words.contains(word);
}

}  // namespace appliance::verify
