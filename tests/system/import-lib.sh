# shellcheck shell=bash
# What tests of imports share: disks, and packages as VMware and VirtualBox write them.

# make_disk FILE MIB   a raw disk with data, holes, and pieces that do not fill a cluster.
make_disk() {
  truncate -s "$2M" "$1"
  dd if=/dev/urandom of="$1" bs=1000 count=700 conv=notrunc status=none
  dd if=/dev/urandom of="$1" bs=512 seek=$(($2 * 2048 - 40)) count=40 conv=notrunc status=none
  dd if=/dev/urandom of="$1" bs=4096 seek=$(($2 * 128)) count=300 conv=notrunc status=none
}

# change_disk FROM TO   TO is FROM with other content in some places, down to single sectors.
change_disk() {
  cp --sparse=always "$1" "$2"
  local size place
  size=$(stat -c %s "$2")
  for place in 3 4 100 4095 4096 9000 $((size / 512 - 1)); do
    dd if=/dev/urandom of="$2" bs=512 seek="$place" count=1 conv=notrunc status=none
  done
  dd if=/dev/urandom of="$2" bs=1M seek=6 count=2 conv=notrunc status=none
  dd if=/dev/zero of="$2" bs=512 seek=200 count=300 conv=notrunc status=none
}

# write_ovf FILE [--controller KIND] [--firmware efi] [--card MODEL] DISK:BYTES...   a descriptor as VMware writes it.
# KIND: scsi (a paravirtual one, the default), or ide.
write_ovf() {
  local file=$1 controller=scsi firmware=bios card=VmxNet3 number=0 each name size files='' disks='' items=''
  shift
  while [[ $1 == --* ]]; do
    case $1 in --controller) controller=$2 ;; --firmware) firmware=$2 ;; --card) card=$2 ;; esac
    shift 2
  done
  for each in "$@"; do
    name=${each%:*} size=${each##*:}
    files+="<File ovf:href=\"$name\" ovf:id=\"file$number\"/>"
    disks+="<Disk ovf:capacity=\"$size\" ovf:capacityAllocationUnits=\"byte\" ovf:diskId=\"vmdisk$number\" ovf:fileRef=\"file$number\"
      ovf:format=\"http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized\"/>"
    items+="<Item><rasd:AddressOnParent>$number</rasd:AddressOnParent><rasd:ElementName>Hard disk $number</rasd:ElementName>
      <rasd:HostResource>ovf:/disk/vmdisk$number</rasd:HostResource><rasd:InstanceID>1$number</rasd:InstanceID>
      <rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>"
    number=$((number + 1))
  done
  local kind=6 model=VirtualSCSI
  [ "$controller" = scsi ] || kind=5 model=PIIX4
  cat > "$file" << OVF
<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
  xmlns:vmw="http://www.vmware.com/schema/ovf" xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
  <References>$files</References>
  <DiskSection><Info>disks</Info>$disks</DiskSection>
  <NetworkSection><Info>networks</Info><Network ovf:name="Office"/></NetworkSection>
  <VirtualSystem ovf:id="web">
    <Info>A virtual machine</Info><Name>web</Name>
    <OperatingSystemSection ovf:id="96" vmw:osType="debian11_64Guest"><Info>system</Info></OperatingSystemSection>
    <VirtualHardwareSection><Info>hardware</Info>
      <System><vssd:InstanceID>0</vssd:InstanceID><vssd:VirtualSystemType>vmx-19</vssd:VirtualSystemType></System>
      <Item><rasd:AllocationUnits>hertz * 10^6</rasd:AllocationUnits><rasd:InstanceID>1</rasd:InstanceID>
        <rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>4</rasd:VirtualQuantity>
        <vmw:CoresPerSocket ovf:required="false">2</vmw:CoresPerSocket></Item>
      <Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:InstanceID>2</rasd:InstanceID>
        <rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>768</rasd:VirtualQuantity></Item>
      <Item><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceSubType>$model</rasd:ResourceSubType>
        <rasd:ResourceType>$kind</rasd:ResourceType></Item>
      $items
      <Item><rasd:Address>00:50:56:AB:CD:EF</rasd:Address><rasd:Connection>Office</rasd:Connection>
        <rasd:InstanceID>20</rasd:InstanceID><rasd:ResourceSubType>$card</rasd:ResourceSubType>
        <rasd:ResourceType>10</rasd:ResourceType></Item>
      <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="$firmware"/>
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
OVF
}

# write_manifest FOLDER NAME SHA256|SHA1   NAME.mf of what the folder has besides it.
write_manifest() {
  local file sum kind=$3
  rm -f "$1/$2.mf"
  for file in "$1"/*; do
    sum=$("${kind,,}sum" < "$file")
    echo "$kind(${file##*/})= ${sum%% *}" >> "$1/$2.tmp"
  done
  mv "$1/$2.tmp" "$1/$2.mf"
}

# pack_ova OVA FOLDER FILE...
pack_ova() {
  tar --format=ustar -C "$2" -cf "$1" "${@:3}"
}
