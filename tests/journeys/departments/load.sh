# load.sh DEPARTMENT DAY: note which day was loaded, and by whom; not before the file `slow` is gone.
while [ -e "$DEPARTMENTS/slow" ]; do
    touch "$DEPARTMENTS/began"
    sleep 0.2
done
echo "$2 $WRITER" >> "$DEPARTMENTS/$1.txt"
